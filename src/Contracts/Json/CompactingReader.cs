using System.Text.Json;
using Frusta.Contracts.Buffers;

namespace Frusta.Contracts.Json;

/// <summary>
/// Reads one JSON value and writes it without white space as it goes. Numbers and strings are copied as text. Text that is
/// already compact is copied in one piece.
/// </summary>
/// <exception cref="JsonException">The text is not one JSON value, or nests too deep. Thrown by <see cref="Read"/>.</exception>
internal ref struct CompactingReader
{
    private readonly ReadOnlySpan<byte> _source;
    private readonly PooledBuffer _destination;
    private Utf8JsonReader _reader;

    // The piece of the source that is compact up to here and not yet written.
    private int _runStart;
    private int _runEnd;
    private JsonTokenType _previous;

    public CompactingReader(ReadOnlySpan<byte> source, PooledBuffer destination)
    {
        _source = source;
        _destination = destination;
        _reader = new Utf8JsonReader(source, JsonBounds.Value);
    }

    public readonly JsonTokenType TokenType => _reader.TokenType;

    public readonly int Depth => _reader.CurrentDepth;

    /// <summary>A property name without quotes, with its escapes as they were sent.</summary>
    public readonly ReadOnlySpan<byte> Name => _reader.ValueSpan;

    public readonly bool NameIsEscaped => _reader.ValueIsEscaped;

    /// <summary>Where the token just read starts in the destination.</summary>
    public readonly int TokenStart => Position(_runEnd) - TokenLength;

    /// <summary>Where the token just read ends in the destination.</summary>
    public readonly int TokenEnd => Position(_runEnd);

    private readonly int TokenLength => _reader.TokenType switch
    {
        JsonTokenType.String or JsonTokenType.PropertyName => _reader.ValueSpan.Length + 2,
        JsonTokenType.StartObject or JsonTokenType.EndObject or JsonTokenType.StartArray or JsonTokenType.EndArray => 1,
        _ => _reader.ValueSpan.Length,
    };

    /// <summary>Reads the next token; false when value and text are at their end and everything is written.</summary>
    public bool Read()
    {
        if (!_reader.Read())
        {
            Flush();
            return false;
        }

        var start = (int)_reader.TokenStartIndex;
        var separator = Separator(_reader.TokenType);
        if (start - _runEnd != (separator == 0 ? 0 : 1))
        {
            Flush();
            if (separator != 0)
            {
                _destination.Write([separator]);
            }

            _runStart = start;
        }

        _runEnd = start + TokenLength;
        _previous = _reader.TokenType;
        return true;
    }

    /// <summary>The byte between two tokens in compact JSON; 0 when there is none.</summary>
    private readonly byte Separator(JsonTokenType next) => _previous switch
    {
        JsonTokenType.None or JsonTokenType.StartObject or JsonTokenType.StartArray => 0,
        JsonTokenType.PropertyName => (byte)':',
        _ => next is JsonTokenType.EndObject or JsonTokenType.EndArray ? (byte)0 : (byte)',',
    };

    private readonly int Position(int source) => _destination.Length + source - _runStart;

    private void Flush()
    {
        _destination.Write(_source[_runStart.._runEnd]);
        _runStart = _runEnd;
    }
}
