using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// What is taken of the room and of the queues, as counters that any thread may move without a lock: an action that wakes
/// one of its own idle sandboxes needs nobody else.
/// </summary>
internal sealed class RoomLedger(RoomRules rules)
{
    private long _reserved;
    private long _slack;
    private long _queuedBytes;
    private int _queued;
    private long _lateUs;
    private volatile int _shortRuns;
    private volatile bool _coreIdles;
    private int _somebodyWaits;
    private double _worthOfLastEnded;

    /// <summary>The actions that run or wait for something.</summary>
    public BusyActions Busy { get; } = new();

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

    /// <summary>Bytes that idle sandboxes may come to use beside those that are counted for them, up to the bound of the reserve.</summary>
    public long Kept(long lessSlack = 0) => Math.Min(rules.ReserveBytes, Math.Max(0, Volatile.Read(ref _slack) - lessSlack));

    /// <summary>True while an action wants something of the room: a sandbox that becomes idle then may be what it waits for.</summary>
    public bool SomebodyWaits => Volatile.Read(ref _somebodyWaits) != 0;

    /// <summary>Worth of the sandbox that was ended last for want of room: what is used now is worth more by what its use would cost as a cold start.</summary>
    public double WorthOfLastEnded
    {
        get => Volatile.Read(ref _worthOfLastEnded);
        set => Volatile.Write(ref _worthOfLastEnded, value);
    }

    /// <summary>
    /// Says whether an action waits. This is written before the bytes that are reserved are read; who releases bytes does so before reading this. So
    /// either the bytes are seen or the wait is.
    /// </summary>
    public void TellThatSomebodyWaits(bool waits) => Interlocked.Exchange(ref _somebodyWaits, waits ? 1 : 0);

    /// <summary>Counts an idle sandbox by these bytes from now on, though never by more than its limit.</summary>
    public void CountIdle(Slot slot, long bytes)
    {
        var more = Math.Min(bytes, slot.LimitBytes) - slot.ChargedBytes;
        slot.ChargedBytes += more;
        Debug.Assert(slot.ChargedBytes >= 0 && slot.SlackBytes >= 0, "A sandbox is counted by nothing to its limit.");
        var slack = Interlocked.Add(ref _slack, -more);
        var reserved = Interlocked.Add(ref _reserved, more);
        Debug.Assert(slack >= 0 && reserved >= 0);
    }

    /// <summary>Counts an idle sandbox by its limit, since it becomes busy; false when there is no room for that.</summary>
    public bool TryWake(Slot slot)
    {
        var more = slot.SlackBytes;
        if (more > 0)
        {
            if (!TryReserve(more, lessSlack: more))
            {
                return false;
            }

            IdleEnds(slot);
            slot.ChargedBytes = slot.LimitBytes;
        }

        return true;
    }

    /// <summary>The sandbox idles no more; what it is counted by does not change.</summary>
    public void IdleEnds(Slot slot)
    {
        var slack = Interlocked.Add(ref _slack, -slot.SlackBytes);
        Debug.Assert(slack >= 0, "What an idle sandbox may come to use was taken back twice.");
    }

    /// <summary>Takes bytes of the room, apart from what is kept for idle sandboxes that grow.</summary>
    /// <param name="bytes">How many.</param>
    /// <param name="lessSlack">Bytes among them that an idle sandbox could have come to use, which idles no more then.</param>
    public bool TryReserve(long bytes, long lessSlack = 0)
    {
        var seen = Volatile.Read(ref _reserved);
        while (seen + bytes + Kept(lessSlack) <= rules.CapacityBytes)
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

    public void Release(long bytes)
    {
        var reserved = Interlocked.Add(ref _reserved, -bytes);
        Debug.Assert(bytes >= 0 && reserved >= 0, "More was released than was reserved.");
    }

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

    /// <summary>Counts it whatever the bounds say.</summary>
    public void Queue(int bytes)
    {
        Interlocked.Increment(ref _queued);
        Interlocked.Add(ref _queuedBytes, bytes);
    }

    public void Dequeue(int bytes)
    {
        var items = Interlocked.Decrement(ref _queued);
        var size = Interlocked.Add(ref _queuedBytes, -bytes);
        Debug.Assert(items >= 0 && size >= 0, "More has left the queues than came.");
    }
}
