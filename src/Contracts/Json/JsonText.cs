using System.Buffers;
using System.Buffers.Text;
using System.Text;
using Frusta.Contracts.Buffers;

namespace Frusta.Contracts.Json;

/// <summary>Strings and numbers of JSON, written to and read from bytes without a document or a writer object.</summary>
public static class JsonText
{
    private static readonly SearchValues<char> Plain = SearchValues.Create(
        " !#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~");

    private static readonly SearchValues<byte> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(static control => (byte)control), (byte)'"', (byte)'\\']);

    /// <summary>Writes a JSON string with its quotes.</summary>
    public static void WriteString(PooledBuffer destination, ReadOnlySpan<char> text)
    {
        var span = destination.GetSpan(text.Length + 2);
        if (text.IndexOfAnyExcept(Plain) >= 0)
        {
            WriteEscaped(destination, text);
            return;
        }

        span[0] = (byte)'"';
        Encoding.ASCII.GetBytes(text, span[1..]);
        span[text.Length + 1] = (byte)'"';
        destination.Advance(text.Length + 2);
    }

    /// <summary>Writes a part of the content of a JSON string, without quotes; it may end within a character.</summary>
    public static void WriteText(PooledBuffer destination, ReadOnlySpan<byte> utf8)
    {
        while (utf8.IndexOfAny(Escaped) is var next and >= 0)
        {
            destination.Write(utf8[..next]);
            WriteEscape(destination, utf8[next]);
            utf8 = utf8[(next + 1)..];
        }

        destination.Write(utf8);
    }

    public static void WriteNumber(PooledBuffer destination, long value)
    {
        Utf8Formatter.TryFormat(value, destination.GetSpan(20), out var written);
        destination.Advance(written);
    }

    /// <summary>Writes the 32 digits of an activation id with quotes.</summary>
    public static void WriteId(PooledBuffer destination, Names.ActivationId id)
    {
        var span = destination.GetSpan(Names.ActivationId.TextLength + 2);
        span[0] = (byte)'"';
        id.WriteText(span[1..]);
        span[Names.ActivationId.TextLength + 1] = (byte)'"';
        destination.Advance(Names.ActivationId.TextLength + 2);
    }

    /// <summary>
    /// Undoes the escapes of a JSON string that a reader has already found well-formed. A lone surrogate, which JSON
    /// can express and UTF-8 cannot, becomes its own three bytes, so that two names that differ stay different.
    /// </summary>
    /// <param name="escaped">The content between the quotes.</param>
    /// <param name="destination">At least as long as <paramref name="escaped"/>: unescaping never lengthens.</param>
    /// <returns>Number of bytes written.</returns>
    public static int Unescape(ReadOnlySpan<byte> escaped, Span<byte> destination)
    {
        var written = 0;
        while (!escaped.IsEmpty)
        {
            if (escaped[0] != (byte)'\\')
            {
                var plain = escaped.IndexOf((byte)'\\');
                plain = plain < 0 ? escaped.Length : plain;
                escaped[..plain].CopyTo(destination[written..]);
                written += plain;
                escaped = escaped[plain..];
            }
            else if (escaped[1] == (byte)'u')
            {
                written += UnescapeUnit(ref escaped, destination[written..]);
            }
            else
            {
                destination[written++] = Single(escaped[1]);
                escaped = escaped[2..];
            }
        }

        return written;
    }

    /// <summary>
    /// The text of a JSON string that a reader has already found well-formed, for uses that need valid Unicode: a lone surrogate, and
    /// any byte that is not UTF-8, becomes U+FFFD.
    /// </summary>
    /// <param name="escaped">The content between the quotes.</param>
    public static string Decode(ReadOnlySpan<byte> escaped)
    {
        if (!escaped.Contains((byte)'\\'))
        {
            return Encoding.UTF8.GetString(escaped);
        }

        var rented = ArrayPool<byte>.Shared.Rent(escaped.Length);
        var plain = rented.AsSpan(0, Unescape(escaped, rented));
        ReplaceLoneSurrogates(plain);
        var text = Encoding.UTF8.GetString(plain);
        ArrayPool<byte>.Shared.Return(rented);
        return text;
    }

    /// <remarks>No character of UTF-8 begins with these two bytes, and U+FFFD takes three as well.</remarks>
    private static void ReplaceLoneSurrogates(Span<byte> text)
    {
        for (var i = 0; i + 2 < text.Length; i++)
        {
            if (text[i] == 0xED && text[i + 1] >= 0xA0)
            {
                "\uFFFD"u8.CopyTo(text[i..]);
            }
        }
    }

    /// <summary>Bytes that the content of a JSON string takes with no more escapes than JSON needs.</summary>
    /// <param name="escaped">The content between the quotes, found well-formed by a reader.</param>
    public static long LeastLength(ReadOnlySpan<byte> escaped)
    {
        var length = 0L;
        while (!escaped.IsEmpty)
        {
            var plain = escaped.IndexOf((byte)'\\');
            plain = plain < 0 ? escaped.Length : plain;
            length += plain;
            escaped = escaped[plain..];
            if (escaped.IsEmpty)
            {
                break;
            }

            if (escaped[1] != (byte)'u')
            {
                length += escaped[1] == (byte)'/' ? 1 : 2;
                escaped = escaped[2..];
                continue;
            }

            var unit = (char)Hex(escaped);
            escaped = escaped[6..];
            length += unit switch
            {
                '"' or '\\' or '\b' or '\f' or '\n' or '\r' or '\t' => 2,
                < (char)0x20 => 6,
                < (char)0x80 => 1,
                < (char)0x800 => 2,
                _ => char.IsSurrogate(unit) ? 2 : 3, // a pair has four bytes
            };
        }

        return length;
    }

    private static byte Single(byte letter) => letter switch
    {
        (byte)'b' => (byte)'\b',
        (byte)'f' => (byte)'\f',
        (byte)'n' => (byte)'\n',
        (byte)'r' => (byte)'\r',
        (byte)'t' => (byte)'\t',
        _ => letter,
    };

    private static int UnescapeUnit(ref ReadOnlySpan<byte> escaped, Span<byte> destination)
    {
        var unit = (char)Hex(escaped);
        escaped = escaped[6..];
        if (char.IsHighSurrogate(unit) && escaped.Length >= 6 && escaped[0] == (byte)'\\' && escaped[1] == (byte)'u')
        {
            var low = (char)Hex(escaped);
            if (char.IsLowSurrogate(low))
            {
                escaped = escaped[6..];
                return new Rune(unit, low).EncodeToUtf8(destination);
            }
        }

        if (Rune.TryCreate(unit, out var rune))
        {
            return rune.EncodeToUtf8(destination);
        }

        destination[0] = (byte)(0xE0 | (unit >> 12));
        destination[1] = (byte)(0x80 | ((unit >> 6) & 0x3F));
        destination[2] = (byte)(0x80 | (unit & 0x3F));
        return 3;
    }

    private static void WriteEscape(PooledBuffer destination, byte letter)
    {
        var name = letter switch
        {
            (byte)'"' or (byte)'\\' => letter,
            (byte)'\b' => (byte)'b',
            (byte)'\f' => (byte)'f',
            (byte)'\n' => (byte)'n',
            (byte)'\r' => (byte)'r',
            (byte)'\t' => (byte)'t',
            _ => (byte)'u',
        };
        destination.Write([(byte)'\\', name]);
        if (name == (byte)'u')
        {
            destination.Write("00"u8);
            Utf8Formatter.TryFormat(letter, destination.GetSpan(2), out var written, new StandardFormat('x', 2));
            destination.Advance(written);
        }
    }

    private static int Hex(ReadOnlySpan<byte> escape) =>
        Utf8Parser.TryParse(escape.Slice(2, 4), out ushort unit, out _, 'x')
            ? unit
            : throw new FormatException("The escape is not four hexadecimal digits.");

    private static void WriteEscaped(PooledBuffer destination, ReadOnlySpan<char> text)
    {
        destination.Write("\""u8);
        foreach (var rune in text.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case '"':
                    destination.Write("\\\""u8);
                    break;
                case '\\':
                    destination.Write("\\\\"u8);
                    break;
                case '\n':
                    destination.Write("\\n"u8);
                    break;
                case < 0x20:
                    destination.Write("\\u00"u8);
                    Utf8Formatter.TryFormat((byte)rune.Value, destination.GetSpan(2), out _, new StandardFormat('x', 2));
                    destination.Advance(2);
                    break;
                default:
                    destination.Advance(rune.EncodeToUtf8(destination.GetSpan(4)));
                    break;
            }
        }

        destination.Write("\""u8);
    }
}
