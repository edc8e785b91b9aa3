using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;
using Frusta.Contracts.Messages;

namespace Frusta.Controller.Invocation;

/// <summary>Cuts the members that a list, <c>/result</c> or <c>/logs</c> shows out of a stored record, without making a document of it.</summary>
public static class ActivationSummary
{
    /// <summary>The value of a top-level member as it stands in the record; empty when there is none.</summary>
    public static ReadOnlySpan<byte> Member(ReadOnlySpan<byte> record, ReadOnlySpan<byte> name)
    {
        var (start, length) = Find(record, name);
        return record.Slice(start, length);
    }

    /// <summary>The place of a top-level member's value in the record, in bytes; the length is 0 when there is no such member.</summary>
    public static (int Start, int Length) Find(ReadOnlySpan<byte> record, ReadOnlySpan<byte> name)
    {
        var reader = new Utf8JsonReader(record, JsonBounds.Envelope);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals(name);
            var value = Value(ref reader);
            if (found)
            {
                return value;
            }
        }

        return default;
    }

    /// <summary>
    /// Writes the entry of a list: without subject and logs, and of the response only its code. The duration is end - start, also for a sequence. A trigger,
    /// which has no end, has neither code nor duration.
    /// </summary>
    public static void Write(ReadOnlySpan<byte> record, PooledBuffer destination)
    {
        long startMs = 0, endMs = 0;
        var statusCode = (byte)'0';
        destination.Write("{"u8);
        var first = destination.Length;
        var reader = new Utf8JsonReader(record, JsonBounds.Envelope);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            if (name.SequenceEqual("logs"u8))
            {
                // The last member, and by far the longest.
                break;
            }

            var (start, length) = Value(ref reader);
            var value = record.Slice(start, length);
            if (name.SequenceEqual("response"u8))
            {
                statusCode = StatusCode(Member(value, "status"u8));
            }
            else if (IsShown(name))
            {
                if (name.SequenceEqual("start"u8))
                {
                    startMs = Number(value);
                }
                else if (name.SequenceEqual("end"u8))
                {
                    endMs = Number(value);
                }

                destination.Write(destination.Length == first ? "\""u8 : ",\""u8);
                destination.Write(name);
                destination.Write("\":"u8);
                destination.Write(value);
            }
        }

        if (endMs != 0)
        {
            destination.Write(",\"duration\":"u8);
            JsonText.WriteNumber(destination, endMs - startMs);
            destination.Write(",\"statusCode\":"u8);
            destination.Write([statusCode]);
        }

        destination.Write("}"u8);
    }

    private static (int Start, int Length) Value(ref Utf8JsonReader reader)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return (start, (int)reader.BytesConsumed - start);
    }

    private static bool IsShown(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("namespace"u8) || name.SequenceEqual("name"u8) || name.SequenceEqual("version"u8)
        || name.SequenceEqual("publish"u8) || name.SequenceEqual("annotations"u8) || name.SequenceEqual("activationId"u8)
        || name.SequenceEqual("start"u8) || name.SequenceEqual("end"u8) || name.SequenceEqual("cause"u8);

    private static long Number(ReadOnlySpan<byte> value) =>
        System.Buffers.Text.Utf8Parser.TryParse(value, out long number, out _) ? number : 0;

    private static byte StatusCode(ReadOnlySpan<byte> quoted)
    {
        var status = quoted.Trim((byte)'"');
        for (var code = ActivationStatus.Success; code < ActivationStatus.WhiskError; code++)
        {
            if (status.SequenceEqual(ActivationStatusText.Utf8(code)))
            {
                return (byte)('0' + (byte)code);
            }
        }

        return (byte)'3';
    }
}
