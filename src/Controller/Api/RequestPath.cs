using System.Text;

namespace Frusta.Controller.Api;

/// <summary>The path of a request as it was sent.</summary>
internal static class RequestPath
{
    /// <summary>
    /// What stands before the query. Escapes of letters, digits and <c>-._~</c> are undone, since they mean what the letter does; all others
    /// stay, an escaped slash above all.
    /// </summary>
    public static string Of(string target)
    {
        var path = target.AsSpan(0, target.IndexOf('?', StringComparison.Ordinal) is var query and >= 0 ? query : target.Length);
        return path.Contains('%') ? UndoNeedlessEscapes(path) : path.ToString();
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
