namespace Frusta.Journal;

/// <summary>Where an entry stands: segment number, byte offset of its payload, payload length.</summary>
public readonly record struct LogPosition(long Segment, int Offset, int Length);
