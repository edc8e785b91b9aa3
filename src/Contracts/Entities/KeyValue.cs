using System.Text.Json;
using Frusta.Contracts.Json;

namespace Frusta.Contracts.Entities;

/// <summary>One pair of a parameter or annotation array. The value is JSON text as it was sent, minified.</summary>
/// <param name="Key">Any string, also an empty one.</param>
/// <param name="Value">One JSON value in UTF-8; <c>null</c> means declared but unbound.</param>
/// <param name="Init">True when the parameter is handed to the runtime at initialisation only.</param>
/// <param name="Encryption">Name of the scheme the value is encrypted with, if it is.</param>
public sealed record KeyValue(string Key, ReadOnlyMemory<byte> Value, bool Init = false, string? Encryption = null)
{
    /// <summary>True when the value is the JSON literal <c>null</c>.</summary>
    public bool IsNull => Value.Span.SequenceEqual("null"u8);

    /// <summary>True when the value is the JSON literal <c>true</c>: the only truth that <c>final</c> and the web annotations accept.</summary>
    public bool IsTrue => Value.Span.SequenceEqual("true"u8);

    /// <summary>OpenWhisk's notion of truth: a boolean is itself, a number is true unless 0, a string unless empty, null is false, and objects and arrays are true.</summary>
    public bool IsTruthy
    {
        get
        {
            var reader = new Utf8JsonReader(Value.Span, JsonBounds.Value);
            reader.Read();
            return reader.TokenType switch
            {
                JsonTokenType.True or JsonTokenType.StartObject or JsonTokenType.StartArray => true,
                JsonTokenType.Number => !reader.TryGetDouble(out var number) || number != 0,
                JsonTokenType.String => !reader.ValueSpan.IsEmpty,
                _ => false,
            };
        }
    }
}
