namespace Frusta.Sandboxes.Processes;

/// <summary>Reads the host's processes once for all callers that ask at about the same time.</summary>
internal sealed class ProcessTables(TimeProvider time)
{
    private static readonly TimeSpan Recently = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private ProcessTable? _table;
    private long _readAt;

    /// <summary>The processes as they were at most a tenth of a second ago.</summary>
    internal ProcessTable Recent()
    {
        lock (_lock)
        {
            if (_table is null || time.GetElapsedTime(_readAt) > Recently)
            {
                _readAt = time.GetTimestamp();
                _table = ProcessTable.Read();
            }

            return _table;
        }
    }
}
