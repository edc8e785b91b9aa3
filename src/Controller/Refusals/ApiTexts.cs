namespace Frusta.Controller.Refusals;

/// <summary>Texts of the transport, known to OpenWhisk's clients.</summary>
public static class ApiTexts
{
    public const string NoRoute = "The requested resource could not be found.";
    public const string NoSuchMethod = "The request's method is none of HTTP's.";
    public const string TargetTooLong = "The request's path and query are longer than 8192 bytes.";
    public const string NoCredentials = "The resource requires authentication, which was not supplied with the request";
    public const string BadCredentials = "The supplied authentication is invalid";
    public const string NotFound = "The requested resource does not exist.";
    public const string Exists = "resource already exists";
    public const string Conflict = "Concurrent modification to resource detected.";
    public const string OtherCollection = "Resource by this name exists but is not in this collection.";
    public const string Corrupt = "Resource is corrupted and cannot be read.";
    public const string NotYet = "This server does not offer this yet.";
    public const string ObjectExpected = "JSON object expected";

    /// <summary>The text of a status for which there is no better one.</summary>
    public static string Default(int status) => status switch
    {
        400 => "The request contains bad syntax or cannot be fulfilled.",
        401 => "Authentication is possible but has failed or not yet been provided.",
        403 => "The supplied authentication is not authorized to access this resource.",
        404 => NotFound,
        409 => "The request could not be processed because of conflict in the request, such as an edit conflict.",
        413 => "The request content is larger than the server is willing or able to process.",
        429 => "The user has sent too many requests in a given amount of time.",
        501 => NotYet,
        503 => "The server is currently unavailable (because it is overloaded or down for maintenance).",
        _ => "There was an internal server error.",
    };

    public static string MalformedContent(string detail) => $"The request content was malformed:\n{detail}";

    /// <summary>For an action whose runtime is retired.</summary>
    public static string KindRetired(string? kind) => $"The '{kind}' runtime is no longer supported. You may read and delete but not update or invoke this action.";

    public static string PayloadTooLarge(long size, long limit) => $"Request larger than allowed: {size} > {limit} bytes.";
}
