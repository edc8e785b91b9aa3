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
    private volatile bool _coreIdles = true;

    /// <summary>Whether the machine had a core to spare at the last tick.</summary>
    public bool CoreIdles
    {
        get => _coreIdles;
        set => _coreIdles = value;
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
