using System.Text.Json;
using System.Text.Unicode;
using Frusta.Contracts.Buffers;

namespace Frusta.Contracts.Json;

/// <summary>The form of the body of a result.</summary>
public enum JsonVerdict : byte
{
    /// <summary>An object without a top-level <c>error</c>.</summary>
    Object,

    /// <summary>An object with a top-level <c>error</c>; only that member is kept.</summary>
    ObjectWithError,

    Array,

    /// <summary>A string, a number, true, false or null.</summary>
    OtherJson,

    /// <summary>Not one JSON value, not UTF-8, or nested deeper than <see cref="JsonBounds.MaxDepth"/>.</summary>
    NotJson,

    /// <summary>No byte at all.</summary>
    Empty,
}

/// <summary>Reads the bytes that a sandbox sends as a result. They may be hostile until they went through here.</summary>
public static class ResultJson
{
    /// <summary>
    /// Reads the whole body once. Appends an object or an array without white space to the destination; of an object with an
    /// <c>error</c> only <c>{"error":...}</c>, with the last one. For any other body the destination is left as it was.
    /// </summary>
    public static JsonVerdict Read(ReadOnlySpan<byte> body, PooledBuffer destination)
    {
        if (body.IsEmpty)
        {
            return JsonVerdict.Empty;
        }

        if (!Utf8.IsValid(body))
        {
            return JsonVerdict.NotJson;
        }

        var start = destination.Length;
        JsonVerdict verdict;
        try
        {
            verdict = ReadValue(body, destination, start);
        }
        catch (JsonException)
        {
            verdict = JsonVerdict.NotJson;
        }

        if (verdict > JsonVerdict.Array)
        {
            destination.Truncate(start);
        }

        return verdict;
    }

    private static JsonVerdict ReadValue(ReadOnlySpan<byte> body, PooledBuffer destination, int start)
    {
        var reader = new CompactingReader(body, destination);
        reader.Read();
        var first = reader.TokenType;
        int errorStart = 0, errorEnd = 0;
        var inError = false;
        while (reader.Read())
        {
            if (first == JsonTokenType.StartObject && reader.Depth == 1)
            {
                if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    inError = IsError(reader.Name, reader.NameIsEscaped);
                    errorStart = inError ? reader.TokenEnd + 1 : errorStart;
                }
                else if (inError)
                {
                    errorEnd = reader.TokenEnd;
                }
            }
        }

        switch (first)
        {
            case JsonTokenType.StartArray:
                return JsonVerdict.Array;
            case JsonTokenType.StartObject when errorEnd == 0:
                return JsonVerdict.Object;
            case JsonTokenType.StartObject:
                KeepOnlyError(destination, start, errorStart, errorEnd);
                return JsonVerdict.ObjectWithError;
            default:
                return JsonVerdict.OtherJson;
        }
    }

    private static bool IsError(ReadOnlySpan<byte> name, bool escaped)
    {
        if (!escaped)
        {
            return name.SequenceEqual("error"u8);
        }

        // Five letters, each at most six bytes when escaped.
        Span<byte> plain = stackalloc byte[30];
        return name.Length <= plain.Length && plain[..JsonText.Unescape(name, plain)].SequenceEqual("error"u8);
    }

    private static void KeepOnlyError(PooledBuffer destination, int start, int errorStart, int errorEnd)
    {
        // No error member begins shorter than {"error":, so the value is moved left or stays, and the copy is safe.
        var span = destination.WrittenSpan;
        var opening = "{\"error\":"u8;
        span[errorStart..errorEnd].CopyTo(span[(start + opening.Length)..]);
        opening.CopyTo(span[start..]);
        span[start + opening.Length + errorEnd - errorStart] = (byte)'}';
        destination.Truncate(start + opening.Length + errorEnd - errorStart + 1);
    }
}
