using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary>The id that a request has in headers, errors and logs.</summary>
internal static class TransactionId
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    private const string SystemPrefix = "sid_";
    private const int Length = 32;

    /// <summary>The client's <c>X-Request-ID</c>; a fresh id when there is none, it has the system's prefix, or it is not of printable ASCII.</summary>
    /// <remarks>The id goes back in a header, which takes only printable characters: with others the answer would fail after its request was carried out.</remarks>
    public static string Of(IHeaderDictionary headers)
    {
        if (headers.TryGetValue("X-Request-ID", out var sent) && sent.Count > 0 && sent[0] is { Length: > 0 } id
            && !id.StartsWith(SystemPrefix, StringComparison.Ordinal) && !id.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            return id;
        }

        return string.Create(Length, 0, static (text, _) => Random.Shared.GetItems<char>(Alphabet, text));
    }

    /// <summary>True when the client asks for more logs, and for the record to be stored in any case.</summary>
    public static bool WantsExtraLogging(IHeaderDictionary headers) =>
        headers.TryGetValue("X-OW-EXTRA-LOGGING", out var value) && string.Equals(value, "on", StringComparison.OrdinalIgnoreCase);
}
