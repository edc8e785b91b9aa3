using System.Text.Json;

namespace Frusta.Contracts.Json;

/// <summary>How deep JSON from outside may nest. The parser that OpenWhisk uses stops at the same depth.</summary>
public static class JsonBounds
{
    /// <summary>Levels of objects and arrays in one value. A deeper one counts as malformed.</summary>
    public const int MaxDepth = 1000;

    /// <summary>Levels that our own envelopes may add around a value.</summary>
    public const int EnvelopeDepth = 16;

    /// <summary>For a value that came from outside.</summary>
    public static JsonReaderOptions Value { get; } = new() { MaxDepth = MaxDepth };

    /// <summary>For a value that came from outside and is read as a whole.</summary>
    public static JsonDocumentOptions Document { get; } = new() { MaxDepth = MaxDepth };

    /// <summary>For a document of ours with such a value inside.</summary>
    public static JsonReaderOptions Envelope { get; } = new() { MaxDepth = MaxDepth + EnvelopeDepth };
}
