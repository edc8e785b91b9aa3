namespace Frusta.Invoker.Pool;

/// <summary>
/// The sandboxes of one action that wait for a run, the one idle for longest first. A busy one counts its limit in the ledger, an idle one
/// what it was measured to use. Guarded by the lock of its <see cref="ActionSlots"/>.
/// </summary>
internal sealed class IdleSlots(RoomRules rules, RoomLedger ledger)
{
    private readonly List<Slot> _slots = [];

    public int Count => _slots.Count;

    /// <summary>Since when the first of them is idle; <see cref="long.MaxValue"/> when none is.</summary>
    public long OldestUs => _slots.Count > 0 ? _slots[0].SinceUs : long.MaxValue;

    /// <summary>Bytes that the ledger must have for the next one to be taken.</summary>
    public long WakeBytes => _slots[^1].LimitBytes - _slots[^1].ChargedBytes;

    public void Add(Slot slot, long nowUs)
    {
        slot.State = SlotState.Idle;
        slot.SinceUs = nowUs;
        _slots.Add(slot);
        if (ledger.Tight)
        {
            Cool(slot);
        }
    }

    /// <summary>Takes the last one used: its pages are warm, and the first ones grow old enough to be ended. Null when none is idle, or there is no room for it to be busy.</summary>
    public Slot? TryTake()
    {
        if (_slots.Count == 0)
        {
            return null;
        }

        var last = _slots[^1];
        if (last.ChargedBytes < last.LimitBytes)
        {
            if (!ledger.TryReserve(WakeBytes))
            {
                return null;
            }

            last.ChargedBytes = last.LimitBytes;
        }

        _slots.RemoveAt(_slots.Count - 1);
        return last;
    }

    /// <summary>Takes the one idle for longest out, to be ended; null when none is idle.</summary>
    public Slot? RemoveOldest() => _slots.Count > 0 ? RemoveAt(0) : null;

    /// <summary>Takes this one out, to be ended; false when it is not idle.</summary>
    public bool Remove(Slot slot)
    {
        var at = _slots.IndexOf(slot);
        if (at >= 0)
        {
            RemoveAt(at);
        }

        return at >= 0;
    }

    /// <summary>Takes out those that were idle for too long, and names those to be measured.</summary>
    public void Expire(long nowUs, List<Slot> expired, List<PoolAction> actions)
    {
        while (_slots.Count > 0 && nowUs - OldestUs > rules.IdleTimeoutUs)
        {
            expired.Add(RemoveAt(0));
        }

        foreach (var slot in _slots)
        {
            if (slot.ChargedBytes == slot.LimitBytes && !slot.MeasureAsked && nowUs - slot.SinceUs > rules.MeasureAfterUs)
            {
                slot.MeasureAsked = true;
                actions.Add(new PoolAction(PoolActionKind.Measure, slot, null));
            }
        }
    }

    /// <summary>Names those that are to be paused or looked at.</summary>
    public void Pause(PauseRule rule, long nowUs, List<PoolAction> actions)
    {
        foreach (var slot in _slots)
        {
            rule.Sweep(slot, nowUs, actions);
        }
    }

    /// <summary>Counts all by what they use, where it is known. Gives the bytes that this freed.</summary>
    public long CoolAll()
    {
        long freed = 0;
        foreach (var slot in _slots)
        {
            freed += Cool(slot);
        }

        return freed;
    }

    /// <summary>Counts a sandbox by what it uses from now on; one that was taken meanwhile keeps its limit.</summary>
    public long Cool(Slot slot)
    {
        var counted = slot.MeasuredBytes + rules.IdleMarginBytes;
        if (slot.State != SlotState.Idle || slot.MeasuredBytes == 0 || counted >= slot.ChargedBytes)
        {
            return 0;
        }

        var freed = slot.ChargedBytes - counted;
        slot.ChargedBytes = counted;
        ledger.Release(freed);
        return freed;
    }

    private Slot RemoveAt(int at)
    {
        var slot = _slots[at];
        _slots.RemoveAt(at);
        slot.State = SlotState.Stopping;
        return slot;
    }
}
