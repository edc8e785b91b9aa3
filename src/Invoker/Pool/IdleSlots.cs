using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// The idle sandboxes of one action, the one that is idle for longest first. The ledger counts a busy sandbox by its limit, and an idle one by the memory
/// that it was measured to use; before that by the memory of its action's sandboxes, else of its family's. Guarded by the lock of its <see cref="ActionSlots"/>.
/// </summary>
internal sealed class IdleSlots(RoomRules rules, RoomLedger ledger, FamilyCost family)
{
    private readonly List<Slot> _slots = [];
    private long _seenBytes;
    private int _unseen;

    public int Count => _slots.Count;

    /// <summary>How many have not been measured since a run that may have changed their use of memory. Any thread may read it.</summary>
    public int Unseen => Volatile.Read(ref _unseen);

    /// <summary>Since when the first of them is idle, in microseconds of the pool's clock; <see cref="long.MaxValue"/> when none is.</summary>
    public long OldestUs => _slots.Count > 0 ? _slots[0].SinceUs : long.MaxValue;

    /// <summary>Bytes that the ledger must have for the next one to be taken.</summary>
    public long WakeBytes => _slots[^1].SlackBytes;

    public void Add(Slot slot, long nowUs)
    {
        Debug.Assert(!_slots.Contains(slot) && slot.ChargedBytes == slot.LimitBytes, "A sandbox was busy, and counted by its limit, before it idles.");
        slot.State = SlotState.Idle;
        slot.SinceUs = nowUs;
        _slots.Add(slot);
        _unseen += slot.IsSeen ? 0 : 1;
        ledger.CountIdle(slot, Expected(slot));
    }

    /// <summary>
    /// Takes the sandbox that was used last: its pages are warm, and the others grow old enough to be ended. Null when none is idle, or there is no room for
    /// it to be busy.
    /// </summary>
    public Slot? TryTake()
    {
        if (_slots.Count == 0)
        {
            return null;
        }

        var last = _slots[^1];
        if (!ledger.TryWake(last))
        {
            return null;
        }

        _slots.RemoveAt(_slots.Count - 1);
        _unseen -= last.IsSeen ? 0 : 1;
        Debug.Assert(last.State == SlotState.Idle && last.SlackBytes == 0 && _unseen >= 0);
        return last;
    }

    /// <summary>The sandbox that is idle for longest; null when it became idle after that time, or none is idle.</summary>
    public Slot? Oldest(long idleBeforeUs) => OldestUs < idleBeforeUs ? _slots[0] : null;

    /// <summary>Takes out the sandbox that is idle for longest, to be ended; null when none is idle.</summary>
    public Slot? RemoveOldest() => _slots.Count > 0 ? RemoveAt(0) : null;

    /// <summary>Takes the sandbox out, to be ended; false when it is not idle.</summary>
    public bool Remove(Slot slot)
    {
        var at = _slots.IndexOf(slot);
        if (at >= 0)
        {
            RemoveAt(at);
        }

        return at >= 0;
    }

    /// <summary>Takes out the sandboxes that were idle for too long.</summary>
    public void Expire(long nowUs, List<Slot> expired)
    {
        while (_slots.Count > 0 && nowUs - OldestUs > rules.IdleTimeoutUs)
        {
            expired.Add(RemoveAt(0));
        }
    }

    /// <summary>Asks for at most so many sandboxes to be measured that were not measured of late, or not since their last long run. Gives their number.</summary>
    public int AskToMeasure(int most, bool unseenOnly, long nowUs, List<PoolAction> actions)
    {
        var asked = 0;
        for (var i = 0; i < _slots.Count && asked < most; i++)
        {
            var slot = _slots[i];
            if (!slot.MeasureAsked && (!slot.IsSeen || (!unseenOnly && IsTimeToMeasure(slot, nowUs))))
            {
                slot.MeasureAsked = true;
                actions.Add(new PoolAction(PoolActionKind.Measure, slot, null));
                asked++;
            }
        }

        return asked;
    }

    /// <summary>Asks for the sandboxes to be paused or looked at whose time has come.</summary>
    public void Pause(PauseRule rule, long nowUs, List<PoolAction> actions)
    {
        foreach (var slot in _slots)
        {
            rule.Sweep(slot, nowUs, actions);
        }
    }

    /// <summary>Counts an idle sandbox by the bytes that it uses from now on. True when it was seen to grow while it was idle.</summary>
    public bool Measured(Slot slot, long bytes, long nowUs)
    {
        Debug.Assert(_slots.Contains(slot), "Only an idle sandbox is counted by its use.");
        _unseen -= slot.IsSeen ? 0 : 1;
        slot.IsSeen = true;
        slot.MeasuredUs = nowUs;
        slot.MeasuredBytes = bytes;
        _seenBytes = Math.Max(bytes, _seenBytes - ((_seenBytes - bytes) / 8));
        ledger.CountIdle(slot, bytes);
        if (slot.FirstIdleBytes == 0)
        {
            slot.FirstIdleBytes = bytes;
        }

        slot.HasGrown |= bytes > slot.FirstIdleBytes + (slot.FirstIdleBytes / 4) + rules.GrownBytes;
        return slot.HasGrown;
    }

    /// <summary>A paused sandbox does not grow: once it was measured after its grace, it is not measured again.</summary>
    private bool IsTimeToMeasure(Slot slot, long nowUs) =>
        nowUs - slot.MeasuredUs >= rules.MeasureEveryUs && (slot.Pause.State == PauseState.Awake || slot.MeasuredUs - slot.SinceUs < rules.PauseGraceUs + rules.MeasureEveryUs);

    private long Expected(Slot slot) =>
        slot.MeasuredBytes > 0 ? slot.MeasuredBytes
        : _seenBytes > 0 ? _seenBytes
        : family.IdleBytes > 0 ? family.IdleBytes
        : slot.LimitBytes;

    private Slot RemoveAt(int at)
    {
        var slot = _slots[at];
        _slots.RemoveAt(at);
        _unseen -= slot.IsSeen ? 0 : 1;
        Debug.Assert(slot.State == SlotState.Idle && _unseen >= 0 && _unseen <= _slots.Count);
        slot.State = SlotState.Stopping;
        ledger.IdleEnds(slot);
        return slot;
    }
}
