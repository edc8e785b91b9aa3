namespace Frusta.Journal;

/// <summary>Where an entry stands: segment number, byte offset of its payload, payload length.</summary>
public readonly record struct LogPosition(long Segment, int Offset, int Length)
{
    /// <summary>True when this place lies behind the other one in the order of appending.</summary>
    public bool IsBehind(LogPosition other) =>
        Segment > other.Segment || (Segment == other.Segment && Offset > other.Offset);
}
