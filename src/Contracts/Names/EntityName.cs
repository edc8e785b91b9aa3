namespace Frusta.Contracts.Names;

/// <summary>The rule for one segment of a name: 1 to 256 characters, OpenWhisk's alphabet.</summary>
public static class EntityName
{
    /// <summary>Greatest length of one segment, in characters.</summary>
    public const int MaxLength = 256;

    /// <summary>
    /// True for <c>[\w]</c> or <c>[\w][\w@ .&amp;-]{0,254}[\w@.&amp;-]</c>, with <c>\w</c> = <c>[A-Za-z0-9_]</c>.
    /// </summary>
    public static bool IsValid(ReadOnlySpan<char> segment)
    {
        if (segment.IsEmpty || segment.Length > MaxLength || !IsWord(segment[0]) || segment[^1] == ' ')
        {
            return false;
        }

        foreach (var character in segment[1..])
        {
            if (!IsWord(character) && character is not ('@' or ' ' or '.' or '&' or '-'))
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsWord(char character) => char.IsAsciiLetterOrDigit(character) || character == '_';
}
