using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Frusta.Contracts.Buffers;

namespace Frusta.Contracts.Json;

/// <summary>
/// One value within a JSON text that was found to be well-formed. It is read from the text itself, so that it takes no memory beside the text, however large
/// that is.
/// </summary>
/// <remarks>A document tree takes 12 bytes for each token, so that 50 MB of <c>[1,1,</c> would take 300 MB. Each look-up here reads the value again instead.</remarks>
/// <param name="json">The value, from its first byte to its last.</param>
public readonly struct JsonSlice(ReadOnlyMemory<byte> json)
{
    private static readonly JsonWriterOptions Compact = new()
    {
        Encoder = LeastEscaping.Instance,
        SkipValidation = true,
        MaxDepth = JsonBounds.MaxDepth + JsonBounds.EnvelopeDepth,
    };

    /// <summary>Bytes of the text.</summary>
    public int Length => json.Length;

    public JsonValueKind ValueKind => json.IsEmpty ? JsonValueKind.Undefined : json.Span[0] switch
    {
        (byte)'{' => JsonValueKind.Object,
        (byte)'[' => JsonValueKind.Array,
        (byte)'"' => JsonValueKind.String,
        (byte)'t' => JsonValueKind.True,
        (byte)'f' => JsonValueKind.False,
        (byte)'n' => JsonValueKind.Null,
        _ => JsonValueKind.Number,
    };

    /// <summary>Reads the text once, to its end.</summary>
    /// <exception cref="JsonException">It is not one JSON value, or nests deeper than <see cref="JsonBounds.MaxDepth"/>.</exception>
    public static JsonSlice Parse(ReadOnlyMemory<byte> text) => Parse(text, [], null);

    /// <summary>Reads the text once, to its end, and notes members of its object; of a member given twice the last counts.</summary>
    /// <param name="text">The text.</param>
    /// <param name="names">Names of the members that are wanted.</param>
    /// <param name="members">Takes those members.</param>
    /// <exception cref="JsonException">It is not one JSON value, or nests deeper than <see cref="JsonBounds.MaxDepth"/>.</exception>
    public static JsonSlice Parse(ReadOnlyMemory<byte> text, ReadOnlySpan<string> names, Dictionary<string, JsonSlice>? members)
    {
        var reader = new Utf8JsonReader(text.Span, JsonBounds.Value);
        reader.Read();
        var first = (int)reader.TokenStartIndex;
        var end = (int)reader.BytesConsumed;
        var isObject = reader.TokenType == JsonTokenType.StartObject;
        string? name = null;
        var start = 0;
        while (reader.Read())
        {
            end = (int)reader.BytesConsumed;
            if (!isObject || reader.CurrentDepth != 1)
            {
                continue;
            }

            if (reader.TokenType == JsonTokenType.PropertyName)
            {
                name = Find(ref reader, names);
                start = -1;
            }
            else if (name is not null)
            {
                start = start < 0 ? (int)reader.TokenStartIndex : start;
                members![name] = new JsonSlice(text[start..end]);
            }
        }

        return new JsonSlice(text[first..end]);
    }

    /// <summary>
    /// As <see cref="Parse(ReadOnlyMemory{byte}, ReadOnlySpan{string}, Dictionary{string, JsonSlice})"/>, for a text from outside. Every string in a text that
    /// it accepts can be read.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="names">Names of the members that are wanted.</param>
    /// <param name="members">Takes them; null with no names.</param>
    /// <param name="value">The value.</param>
    /// <param name="problem">For the client: why the text is no JSON value of at most <see cref="JsonBounds.MaxDepth"/> levels whose strings are Unicode.</param>
    public static bool TryParse(
        ReadOnlyMemory<byte> text, ReadOnlySpan<string> names, Dictionary<string, JsonSlice>? members, out JsonSlice value, [NotNullWhen(false)] out string? problem)
    {
        value = default;
        problem = null;
        if (!JsonUnicode.IsValid(text.Span))
        {
            problem = "It is not UTF-8, or a string in it has half of a surrogate pair.";
            return false;
        }

        try
        {
            value = Parse(text, names, members);
            return true;
        }
        catch (JsonException malformed)
        {
            problem = $"It is not one JSON value of at most {JsonBounds.MaxDepth} levels (see line {malformed.LineNumber + 1}, byte {malformed.BytePositionInLine + 1}).";
            return false;
        }
    }

    /// <summary>Finds a member of this object; of a member given twice the last counts.</summary>
    public bool TryGetProperty(string name, out JsonSlice value)
    {
        value = default;
        var reader = Begin();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new InvalidOperationException($"A JSON object was expected, and not {ValueKind}.");
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIt = reader.ValueTextEquals(name);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            if (isIt)
            {
                value = new JsonSlice(json[start..(int)reader.BytesConsumed]);
            }
        }

        return value.ValueKind != JsonValueKind.Undefined;
    }

    /// <summary>True for an object without members.</summary>
    public bool IsEmptyObject()
    {
        var reader = Begin();
        return reader.TokenType == JsonTokenType.StartObject && reader.Read() && reader.TokenType == JsonTokenType.EndObject;
    }

    /// <summary>The elements of this array, in order.</summary>
    public Elements EnumerateArray() => new(json);

    /// <summary>The text of this string, unescaped.</summary>
    /// <exception cref="InvalidOperationException">It is no string, or says what no string can hold.</exception>
    public string GetString() => Begin().GetString()!;

    /// <summary>The text of this string, unescaped, in UTF-8.</summary>
    /// <exception cref="InvalidOperationException">It is no string, or says what no string can hold.</exception>
    public byte[] GetUtf8()
    {
        var reader = Begin();
        var room = GC.AllocateUninitializedArray<byte>(reader.ValueSpan.Length);
        var length = reader.CopyString(room);
        return length == room.Length ? room : room[..length];
    }

    /// <summary>The beginning of the text as it was sent.</summary>
    /// <param name="most">The most characters.</param>
    public string GetRawText(int most)
    {
        var text = Encoding.UTF8.GetString(json.Span[..(int)Math.Min(json.Length, 4L * most)]);
        return text.Length <= most ? text : text[..most];
    }

    /// <summary>The value without white space, with numbers as they were sent and with no more escapes in strings than JSON needs.</summary>
    /// <exception cref="InvalidOperationException">A string in it is not Unicode text.</exception>
    public byte[] Minify()
    {
        if (ValueKind is JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False or JsonValueKind.Null)
        {
            return json.ToArray();
        }

        using var buffer = PooledBuffer.Rent();
        using (var writer = new Utf8JsonWriter(buffer, Compact))
        {
            var reader = Begin();
            do
            {
                Copy(ref reader, writer);
            }
            while (reader.Read());
        }

        return buffer.Span.ToArray();
    }

    /// <summary>Bytes that <see cref="Minify"/> would give, counted without making them.</summary>
    public long MinifiedLength()
    {
        var length = 0L;
        var previous = JsonTokenType.None;
        var reader = Begin();
        do
        {
            var isEnd = reader.TokenType is JsonTokenType.EndObject or JsonTokenType.EndArray;
            var isSeparated = !isEnd && previous is not (JsonTokenType.None or JsonTokenType.StartObject or JsonTokenType.StartArray);
            length += (isSeparated ? 1 : 0) + reader.TokenType switch
            {
                JsonTokenType.String or JsonTokenType.PropertyName => 2 + (reader.ValueIsEscaped ? JsonText.LeastLength(reader.ValueSpan) : reader.ValueSpan.Length),
                _ => reader.ValueSpan.Length,
            };
            previous = reader.TokenType;
        }
        while (reader.Read());
        return length;
    }

    private static string? Find(ref Utf8JsonReader reader, ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (reader.ValueTextEquals(name))
            {
                return name;
            }
        }

        return null;
    }

    private static void Copy(ref Utf8JsonReader reader, Utf8JsonWriter writer)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                writer.WriteStartObject();
                break;
            case JsonTokenType.EndObject:
                writer.WriteEndObject();
                break;
            case JsonTokenType.StartArray:
                writer.WriteStartArray();
                break;
            case JsonTokenType.EndArray:
                writer.WriteEndArray();
                break;
            case JsonTokenType.PropertyName:
                writer.WritePropertyName(reader.ValueIsEscaped ? Encoding.UTF8.GetBytes(reader.GetString()!) : reader.ValueSpan);
                break;
            case JsonTokenType.String:
                writer.WriteStringValue(reader.ValueIsEscaped ? Encoding.UTF8.GetBytes(reader.GetString()!) : reader.ValueSpan);
                break;
            default:
                writer.WriteRawValue(reader.ValueSpan, skipInputValidation: true);
                break;
        }
    }

    private Utf8JsonReader Begin()
    {
        var reader = new Utf8JsonReader(json.Span, JsonBounds.Value);
        reader.Read();
        return reader;
    }

    /// <summary>Goes through the elements of an array.</summary>
    public ref struct Elements
    {
        private readonly ReadOnlyMemory<byte> _json;
        private Utf8JsonReader _reader;

        internal Elements(ReadOnlyMemory<byte> json)
        {
            _json = json;
            _reader = new Utf8JsonReader(json.Span, JsonBounds.Value);
            _reader.Read();
        }

        public JsonSlice Current { get; private set; }

        public readonly Elements GetEnumerator() => this;

        public bool MoveNext()
        {
            if (!_reader.Read() || _reader.TokenType == JsonTokenType.EndArray)
            {
                return false;
            }

            var start = (int)_reader.TokenStartIndex;
            _reader.Skip();
            Current = new JsonSlice(_json[start..(int)_reader.BytesConsumed]);
            return true;
        }
    }
}
