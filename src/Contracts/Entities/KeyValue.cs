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
}
