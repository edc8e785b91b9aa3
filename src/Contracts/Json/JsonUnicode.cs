using System.Buffers.Text;
using System.Text.Unicode;

namespace Frusta.Contracts.Json;

/// <summary>Checks that all strings of a JSON text are valid Unicode, since JSON can express strings that are not.</summary>
internal static class JsonUnicode
{
    private const int NoUnit = -1;
    private const int EscapeBytes = 6;

    /// <summary>False when bytes are not UTF-8, or an escape is half of a surrogate pair. Does not check whether the text is JSON.</summary>
    public static bool IsValid(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
        {
            return false;
        }

        while (json.IndexOf((byte)'\\') is var escape and >= 0)
        {
            json = json[escape..];
            var unit = UnitOf(json);
            var isPair = unit is >= 0xd800 and < 0xdc00 && UnitOf(json[EscapeBytes..]) is >= 0xdc00 and < 0xe000;
            if (unit is >= 0xd800 and < 0xe000 && !isPair)
            {
                return false;
            }

            var length = isPair ? 2 * EscapeBytes : unit == NoUnit ? 2 : EscapeBytes;
            json = json[Math.Min(length, json.Length)..];
        }

        return true;
    }

    /// <summary>The UTF-16 unit of an escape of the form <c>\u0000</c> at the beginning; <see cref="NoUnit"/> when there is none.</summary>
    private static int UnitOf(ReadOnlySpan<byte> json) =>
        json.Length >= EscapeBytes && json[0] == (byte)'\\' && json[1] == (byte)'u' && Utf8Parser.TryParse(json.Slice(2, 4), out ushort unit, out var read, 'x') && read == 4
            ? unit
            : NoUnit;
}
