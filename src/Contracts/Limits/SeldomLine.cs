namespace Frusta.Contracts.Limits;

/// <summary>
/// Keeps a line of the log that a client can cause at will from filling the disk: the line is written at most once in ten seconds, with the number of events
/// that it stands for. Any thread may ask.
/// </summary>
public sealed class SeldomLine(TimeProvider clock)
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private long? _writtenAt;
    private int _count;

    /// <summary>Counts an event. True when the line is to be written now, for <paramref name="count"/> events.</summary>
    public bool IsDue(out int count)
    {
        lock (_lock)
        {
            count = ++_count;
            if (_writtenAt is { } before && clock.GetElapsedTime(before) < Between)
            {
                return false;
            }

            _writtenAt = clock.GetTimestamp();
            _count = 0;
            return true;
        }
    }
}
