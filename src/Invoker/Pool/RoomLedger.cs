using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// Counts how much of the room and of the queues is taken, in counters that any thread may move without a lock: so an action wakes
/// one of its own idle sandboxes without the room's lock.
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

    /// <summary>True when the machine had a core to spare at the last tick.</summary>
    public bool CoreIdles => _coreIdles;

    /// <summary>The most microseconds by which ticks have lately come late. It fades away in some twenty ticks.</summary>
    public long LateUs => Volatile.Read(ref _lateUs);

    /// <summary>Runs of all actions, under way at the last tick, that wait for nothing but a core.</summary>
    public int ShortRuns => _shortRuns;

    /// <summary>Takes what a tick has found: how late it comes, whether the machine has a core to spare, and how many short runs are under way.</summary>
    public void Ticked(long lateUs, bool coreIdles, int shortRuns)
    {
        Volatile.Write(ref _lateUs, Math.Max(lateUs, LateUs - (LateUs / 16)));
        _coreIdles = coreIdles;
        _shortRuns = shortRuns;
    }

    public long Reserved => Volatile.Read(ref _reserved);

    public int Queued => Volatile.Read(ref _queued);

    public long QueuedBytes => Volatile.Read(ref _queuedBytes);

    /// <summary>Bytes kept for idle sandboxes that grow: the difference between their limits and the bytes counted for them, up to the bound of the reserve.</summary>
    public long Kept(long lessSlack = 0) => Math.Min(rules.ReserveBytes, Math.Max(0, Volatile.Read(ref _slack) - lessSlack));

    /// <summary>True while an action wants something of the room: the end of a run may then free the memory for it.</summary>
    public bool SomebodyWaits => Volatile.Read(ref _somebodyWaits) != 0;

    /// <summary>
    /// Worth of the sandbox that was ended last for want of room. The worth of a sandbox that is used now begins at this, so that old uses count less and
    /// less.
    /// </summary>
    public double WorthOfLastEnded
    {
        get => Volatile.Read(ref _worthOfLastEnded);
        set => Volatile.Write(ref _worthOfLastEnded, value);
    }

    /// <summary>
    /// Says whether an action waits. The room writes this before it reads the reserved bytes; a thread that releases bytes does so before it reads this. So
    /// either the room sees the bytes, or the thread sees that an action waits.
    /// </summary>
    public void TellThatSomebodyWaits(bool waits) => Interlocked.Exchange(ref _somebodyWaits, waits ? 1 : 0);

    /// <summary>Counts an idle sandbox by these bytes from now on, though never by more than its limit.</summary>
    public void CountIdle(Slot slot, long bytes)
    {
        var more = Math.Min(bytes, slot.LimitBytes) - slot.ChargedBytes;
        slot.ChargedBytes += more;
        Debug.Assert(slot.ChargedBytes >= 0 && slot.SlackBytes >= 0, "A sandbox is counted by at least 0 bytes and at most its limit.");
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

    /// <summary>The sandbox idles no more: no bytes are kept for it to grow. The bytes counted for it do not change.</summary>
    public void IdleEnds(Slot slot)
    {
        var slack = Interlocked.Add(ref _slack, -slot.SlackBytes);
        Debug.Assert(slack >= 0, "The slack of an idle sandbox was taken back twice.");
    }

    /// <summary>Takes bytes of the room, but none of those that are kept for idle sandboxes that grow; false when too few are left.</summary>
    /// <param name="bytes">How many.</param>
    /// <param name="lessSlack">Slack of the idle sandbox that takes them: it will not idle any more, so nothing is kept for it.</param>
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

    /// <summary>Counts an activation of so many bytes, even beyond the bounds.</summary>
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
