namespace Frusta.Journal;

/// <summary>One entry as a reader sees it. The payload is valid until the next entry is read.</summary>
public readonly ref struct LogEntry(LogPosition position, byte type, ReadOnlySpan<byte> payload)
{
    public LogPosition Position { get; } = position;

    public byte Type { get; } = type;

    public ReadOnlySpan<byte> Payload { get; } = payload;
}

/// <summary>Reads the entries that were published when the reader was made, in order; for one use with <c>foreach</c>.</summary>
/// <remarks>Appends go on meanwhile. A segment that is released meanwhile is left out.</remarks>
public sealed class LogReader : IDisposable
{
    private readonly (LogSegment Segment, int Start, int End)[] _segments;
    private SegmentReader? _reader;
    private int _next;

    internal LogReader((LogSegment Segment, int Start, int End)[] segments) => _segments = segments;

    public LogEntry Current => new(_reader!.Position, _reader.Header.Type, _reader.Payload);

    public LogReader GetEnumerator() => this;

    /// <exception cref="LogDamagedException">A published entry is not readable.</exception>
    public bool MoveNext()
    {
        while (true)
        {
            try
            {
                if (_reader is not null)
                {
                    if (_reader.TryRead())
                    {
                        if (_reader.Header.Type != EntryFormat.Seal)
                        {
                            return true;
                        }

                        continue;
                    }

                    var (segment, _, end) = _segments[_next - 1];
                    if (_reader.Offset < end && !segment.IsReleased)
                    {
                        throw LogRecovery.Damaged(segment, _reader.Offset);
                    }
                }
            }
            catch (ObjectDisposedException)
            {
                // The segment was released while it was read: none of its entries counts any more.
            }

            _reader?.Dispose();
            _reader = null;
            if (_next == _segments.Length)
            {
                return false;
            }

            var next = _segments[_next++];
            _reader = new SegmentReader(next.Segment, next.Start, next.End);
        }
    }

    public void Dispose()
    {
        _reader?.Dispose();
        _reader = null;
        _next = _segments.Length;
    }
}
