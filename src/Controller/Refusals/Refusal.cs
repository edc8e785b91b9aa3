namespace Frusta.Controller.Refusals;

/// <summary>The refusal of a request: status and text as OpenWhisk's clients know them.</summary>
/// <param name="status">HTTP status.</param>
/// <param name="text">The text of the error; empty for the status' default one.</param>
public sealed class Refusal(int status, string text = "")
{
    public int Status { get; } = status;

    public string Text { get; } = text.Length > 0 ? text : ApiTexts.Default(status);

    /// <summary>400 for a body that does not have the right form.</summary>
    public static Refusal Malformed(string detail) => new(400, ApiTexts.MalformedContent(detail));

    /// <summary>400 for a query parameter.</summary>
    public static Refusal MalformedQuery(string parameter, string detail) => new(400, $"The query parameter '{parameter}' was malformed:\n{detail}");

    /// <summary>A header that goes with it, such as <c>WWW-Authenticate</c>.</summary>
    public (string Name, string Value)? Header { get; init; }
}
