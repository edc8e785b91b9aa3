using System.Globalization;

namespace Frusta.Controller.Api;

/// <summary>Versions of entities, read as leniently as OpenWhisk reads them.</summary>
internal static class SemanticVersion
{
    public const string First = "0.0.1";

    /// <summary><c>major.minor.patch</c> of the first three parts, absent ones 0; null when it is no version.</summary>
    public static string? Parse(ReadOnlySpan<char> text)
    {
        var trimmed = text.TrimEnd('.');
        if (trimmed.Length == 0)
        {
            return null;
        }

        Span<int> numbers = stackalloc int[3];
        numbers.Clear();
        var count = 0;
        foreach (var part in trimmed.Split('.')) // stops after the third part, since a client may send millions
        {
            if (count == numbers.Length)
            {
                break;
            }

            if (!int.TryParse(trimmed[part], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out numbers[count]) || numbers[count++] < 0)
            {
                return null;
            }
        }

        return numbers is [0, 0, 0] ? null : string.Create(CultureInfo.InvariantCulture, $"{numbers[0]}.{numbers[1]}.{numbers[2]}");
    }

    /// <summary>The next patch.</summary>
    public static string Next(string version)
    {
        var dot = version.LastIndexOf('.');
        var patch = long.Parse(version[(dot + 1)..], CultureInfo.InvariantCulture) + 1;
        return string.Create(CultureInfo.InvariantCulture, $"{version[..dot]}.{patch}");
    }
}
