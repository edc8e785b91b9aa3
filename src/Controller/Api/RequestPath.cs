using System.Text;

namespace Frusta.Controller.Api;

/// <summary>The path of a request as it was sent.</summary>
public static class RequestPath
{
    /// <summary>Where the REST API begins.</summary>
    public const string Root = "/api/v1";

    private const string BehindScheme = "://";

    /// <summary>
    /// The path of a request target in any form, without its query: <c>/path?query</c>, <c>http://host/path?query</c> as clients send it to proxies,
    /// <c>*</c>, or <c>host:port</c>, which has no path and gives an empty one. Escapes of letters, digits and <c>-._~</c> are undone, since they
    /// mean the same as the character; all others stay, above all an escaped slash.
    /// </summary>
    public static string Of(string target)
    {
        var path = target.AsSpan(0, target.IndexOf('?', StringComparison.Ordinal) is var query and >= 0 ? query : target.Length);
        if (path is not (['/', ..] or "*"))
        {
            path = BehindAuthority(path);
        }

        return path.Contains('%') ? UndoNeedlessEscapes(path) : path.ToString();
    }

    /// <summary>True for a path under <see cref="Root"/>, which functions may call too.</summary>
    public static bool IsInApi(string path) =>
        path.StartsWith(Root, StringComparison.Ordinal) && (path.Length == Root.Length || path[Root.Length] == '/');

    private static ReadOnlySpan<char> BehindAuthority(ReadOnlySpan<char> target)
    {
        var scheme = target.IndexOf(BehindScheme, StringComparison.Ordinal);
        if (scheme < 0)
        {
            return [];
        }

        var rest = target[(scheme + BehindScheme.Length)..];
        return rest.IndexOf('/') is var slash and >= 0 ? rest[slash..] : "/";
    }

    private static string UndoNeedlessEscapes(ReadOnlySpan<char> path)
    {
        var plain = new StringBuilder(path.Length);
        for (var i = 0; i < path.Length; i++)
        {
            if (path[i] == '%' && i + 2 < path.Length && char.IsAsciiHexDigit(path[i + 1]) && char.IsAsciiHexDigit(path[i + 2])
                && (char)Convert.FromHexString(path.Slice(i + 1, 2))[0] is var letter && (char.IsAsciiLetterOrDigit(letter) || letter is '-' or '.' or '_' or '~'))
            {
                plain.Append(letter);
                i += 2;
            }
            else
            {
                plain.Append(path[i]);
            }
        }

        return plain.ToString();
    }
}
