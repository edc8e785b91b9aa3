using System.Buffers.Binary;

namespace Frusta.Contracts.Names;

/// <summary>The id of one activation: 16 bytes, shown as 32 lower-case hexadecimal digits.</summary>
/// <remarks>
/// Ids that Frusta makes are UUID version 7: the first 12 digits are the milliseconds of their creation, so that a
/// reader knows from the id alone which slice of the activation store to look into.
/// </remarks>
public readonly record struct ActivationId(ulong High, ulong Low)
{
    /// <summary>Length of the text form, in characters.</summary>
    public const int TextLength = 32;

    /// <summary>Milliseconds since 1970 in the first 12 digits; meaningful only for ids made by <see cref="New"/>.</summary>
    public long CreatedMs => (long)(High >> 16);

    /// <summary>Makes a fresh id from the clock and random bits.</summary>
    public static ActivationId New(TimeProvider clock)
    {
        var created = (ulong)clock.GetUtcNow().ToUnixTimeMilliseconds();

        // An id is not a secret, so its random bits need not be secure: secure ones cost a microsecond and a system call each time.
        var high = (created << 16) | 0x7000 | ((ulong)Random.Shared.NextInt64() & 0x0fff);
        var low = (ulong)Random.Shared.NextInt64();
        return new ActivationId(high, 0x8000_0000_0000_0000 | (low >> 1));
    }

    /// <summary>Reads 32 lower-case hexadecimal digits; anything else is refused.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out ActivationId id)
    {
        id = default;
        if (text.Length != TextLength || !TryRead(text[..16], out var high) || !TryRead(text[16..], out var low))
        {
            return false;
        }

        id = new ActivationId(high, low);
        return true;
    }

    /// <summary>Reads 32 lower-case hexadecimal digits in ASCII.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out ActivationId id)
    {
        id = default;
        if (text.Length != TextLength)
        {
            return false;
        }

        Span<char> characters = stackalloc char[TextLength];
        for (var i = 0; i < TextLength; i++)
        {
            characters[i] = (char)text[i];
        }

        return TryParse(characters, out id);
    }

    /// <summary>Reads the 16 raw bytes written by <see cref="WriteBytes"/>.</summary>
    public static ActivationId FromBytes(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    /// <summary>Writes 16 bytes, big-endian, so that byte order is the order of the text.</summary>
    public void WriteBytes(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
    }

    /// <summary>Writes the 32 ASCII digits.</summary>
    public void WriteText(Span<byte> destination)
    {
        WriteDigits(High, destination[..16]);
        WriteDigits(Low, destination[16..]);
    }

    public override string ToString() => string.Create(TextLength, this, static (text, id) =>
    {
        Span<byte> ascii = stackalloc byte[TextLength];
        id.WriteText(ascii);
        for (var i = 0; i < TextLength; i++)
        {
            text[i] = (char)ascii[i];
        }
    });

    private static void WriteDigits(ulong value, Span<byte> destination)
    {
        for (var i = 15; i >= 0; i--)
        {
            destination[i] = "0123456789abcdef"u8[(int)(value & 15)];
            value >>= 4;
        }
    }

    private static bool TryRead(ReadOnlySpan<char> digits, out ulong value)
    {
        value = 0;
        foreach (var digit in digits)
        {
            var nibble = digit switch
            {
                >= '0' and <= '9' => digit - '0',
                >= 'a' and <= 'f' => digit - 'a' + 10,
                _ => -1,
            };
            if (nibble < 0)
            {
                return false;
            }

            value = (value << 4) | (uint)nibble;
        }

        return true;
    }
}
