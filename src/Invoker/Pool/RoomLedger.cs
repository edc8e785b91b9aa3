namespace Frusta.Invoker.Pool;

/// <summary>
/// What is taken of the room and of the queues, as counters that any thread may move without a lock: an action that wakes
/// one of its own idle sandboxes needs nobody else.
/// </summary>
internal sealed class RoomLedger(RoomRules rules)
{
    private long _reserved;
    private long _queuedBytes;
    private int _queued;
    private long _lateUs;
    private volatile int _shortRuns;
    private volatile bool _coreIdles;

    /// <summary>Whether the machine was seen to have a core to spare.</summary>
    public bool CoreIdles => _coreIdles;

    /// <summary>Microseconds by which ticks have lately come late: the greatest counts, and fades away in some twenty ticks.</summary>
    public long LateUs => Volatile.Read(ref _lateUs);

    /// <summary>Runs of all actions, under way at the last tick, that wait for nothing but a core.</summary>
    public int ShortRuns => _shortRuns;

    /// <summary>What a tick brings: how late it comes, whether the machine has a core to spare, and how many short runs are under way.</summary>
    public void Ticked(long lateUs, bool coreIdles, int shortRuns)
    {
        Volatile.Write(ref _lateUs, Math.Max(lateUs, LateUs - (LateUs / 16)));
        _coreIdles = coreIdles;
        _shortRuns = shortRuns;
    }

    public long Reserved => Volatile.Read(ref _reserved);

    public int Queued => Volatile.Read(ref _queued);

    public long QueuedBytes => Volatile.Read(ref _queuedBytes);

    /// <summary>More than three quarters taken: an idle sandbox is at once counted by what it uses, where that is known.</summary>
    public bool Tight => Reserved > rules.CapacityBytes / 4 * 3;

    public bool TryReserve(long bytes)
    {
        var seen = Volatile.Read(ref _reserved);
        while (seen + bytes <= rules.CapacityBytes)
        {
            var before = Interlocked.CompareExchange(ref _reserved, seen + bytes, seen);
            if (before == seen)
            {
                return true;
            }

            seen = before;
        }

        return false;
    }

    public void Release(long bytes) => Interlocked.Add(ref _reserved, -bytes);

    public bool TryQueue(int bytes)
    {
        var items = Interlocked.Increment(ref _queued);
        var size = Interlocked.Add(ref _queuedBytes, bytes);
        if (items <= rules.MaxQueued && size <= rules.MaxQueuedBytes)
        {
            return true;
        }

        Dequeue(bytes);
        return false;
    }

    public void Dequeue(int bytes)
    {
        Interlocked.Decrement(ref _queued);
        Interlocked.Add(ref _queuedBytes, -bytes);
    }
}
