namespace Frusta.Invoker.Pool;

/// <summary>
/// Brings about the bytes that an action needs: what is free, then what others leave idle, at last what a greater user yields. Guarded by
/// the room's lock.
/// </summary>
/// <remarks>
/// Thousands of actions may be short of room at once. What was found for the first of a round holds for all behind it, so that each
/// further one costs next to nothing.
/// </remarks>
/// <param name="rules">The figures.</param>
/// <param name="ledger">Where bytes are reserved.</param>
/// <param name="cells">The stem cells, which go last.</param>
/// <param name="known">All actions that the pool knows.</param>
/// <param name="shares">Their namespaces.</param>
internal sealed class Eviction(RoomRules rules, RoomLedger ledger, StemCells cells, List<ActionSlots> known, Dictionary<string, NamespaceShare> shares)
{
    private readonly List<Slot> _found = [];
    private long _stoppingBytes;

    // What this round has found.
    private long _oldestIdleUs;
    private bool _allIdleAreCool;
    private bool _nobodyYields;
    private bool _nobodyAboveItsShareYields;

    /// <summary>A new round begins: what the last one found may have changed.</summary>
    public void BeginRound()
    {
        _oldestIdleUs = 0;
        _allIdleAreCool = _nobodyYields = _nobodyAboveItsShareYields = false;
    }

    /// <summary>
    /// Reserves the bytes, or does what brings them about and says no for now: idle sandboxes are counted by what they use,
    /// then the ones idle for longest are ended, but only if together they suffice; at last a greater user is asked to yield.
    /// </summary>
    public bool TryReserve(ActionSlots slots, long bytes, long nowUs, List<PoolAction> actions)
    {
        var hasNone = slots.Count().Sandboxes == 0;
        var kept = KeptFromOthers(slots, bytes);
        if (TryReserve(bytes, kept))
        {
            return true;
        }

        CoolIdle();
        if (TryReserve(bytes, kept))
        {
            return true;
        }

        if (slots.BlockedSinceUs == 0)
        {
            slots.BlockedSinceUs = nowUs;
        }

        var missing = bytes + kept - (rules.CapacityBytes - ledger.Reserved) - _stoppingBytes;
        if (missing <= 0)
        {
            return false;
        }

        var idleBefore = hasNone ? long.MaxValue : nowUs - rules.SpareIdleUs;
        if (!EvictIdle(missing, idleBefore, slots, actions) && nowUs - slots.BlockedSinceUs >= rules.YieldAfterUs)
        {
            AskGreatestToYield(slots, hasNone);
        }

        return false;
    }

    /// <summary>Ends the sandbox that has been idle for longest.</summary>
    public void EvictOldest(List<PoolAction> actions)
    {
        if (OldestIdle(long.MaxValue, except: null) is { } owner && owner.EvictOldest() is { } slot)
        {
            Stop(slot, actions);
        }
    }

    /// <summary>Has a sandbox ended. Its bytes count until it is gone.</summary>
    public void Stop(Slot slot, List<PoolAction> actions)
    {
        slot.State = SlotState.Stopping;
        _stoppingBytes += slot.ChargedBytes;
        actions.Add(new PoolAction(PoolActionKind.Stop, slot, null));
    }

    /// <summary>A sandbox that was to be ended is gone.</summary>
    public void Stopped(Slot slot)
    {
        _stoppingBytes -= slot.ChargedBytes;
        ledger.Release(slot.ChargedBytes);
    }

    private bool TryReserve(long bytes, long kept)
    {
        if (bytes <= 0)
        {
            ledger.Release(-bytes);
            return true;
        }

        if (!ledger.TryReserve(bytes + kept))
        {
            return false;
        }

        ledger.Release(kept);
        return true;
    }

    /// <summary>The last tenth of the room is not for a namespace that is above its share; but one sandbox, however large, everybody may have.</summary>
    private long KeptFromOthers(ActionSlots slots, long bytes) =>
        shares.Count > 1 && slots.Share.SandboxBytes > 0 && slots.Share.SandboxBytes + bytes > rules.CapacityBytes / shares.Count ? rules.CapacityBytes / 10 : 0;

    private void CoolIdle()
    {
        if (!_allIdleAreCool)
        {
            _allIdleAreCool = true;
            known.ForEach(static slots => slots.CoolIdle());
        }
    }

    private bool EvictIdle(long missing, long idleBeforeUs, ActionSlots wanting, List<PoolAction> actions)
    {
        long found = 0;
        while (found < missing && OldestIdle(idleBeforeUs, wanting) is { } owner && owner.EvictOldest() is { } slot)
        {
            found += slot.ChargedBytes;
            _found.Add(slot);
        }

        while (found < missing && cells.TakeOther(wanting.Family, wanting.LimitBytes) is { } cell)
        {
            found += cell.ChargedBytes;
            _found.Add(cell);
        }

        // Ended even when they do not suffice: what is missing then comes from a greater user, and waits for these no longer.
        foreach (var slot in _found)
        {
            Stop(slot, actions);
        }

        _found.Clear();
        return found >= missing;
    }

    private ActionSlots? OldestIdle(long idleBeforeUs, ActionSlots? except)
    {
        if (_oldestIdleUs >= idleBeforeUs)
        {
            return null;
        }

        ActionSlots? oldest = null;
        _oldestIdleUs = long.MaxValue;
        foreach (var slots in known)
        {
            var since = slots.OldestIdleUs();
            _oldestIdleUs = Math.Min(since, _oldestIdleUs);
            if (since < idleBeforeUs && slots != except)
            {
                idleBeforeUs = since;
                oldest = slots;
            }
        }

        return oldest;
    }

    /// <summary>
    /// Nothing idles. Whoever has none may take from whoever has most, also from its own namespace; whoever has some, only
    /// from a namespace above its share, and only up to its own.
    /// </summary>
    private void AskGreatestToYield(ActionSlots slots, bool hasNone)
    {
        var share = rules.CapacityBytes / Math.Max(1, shares.Count);
        if (hasNone ? _nobodyYields : _nobodyAboveItsShareYields || slots.Share.SandboxBytes + slots.LimitBytes > share)
        {
            return;
        }

        ActionSlots? greatest = null;
        foreach (var other in known)
        {
            if (other != slots && other.Count().Running > 0 && (hasNone || other.Share.SandboxBytes > share) && (greatest is null || IsGreater(other, greatest)))
            {
                greatest = other;
            }
        }

        // One at a time for each that is short: when it has yielded and this one is still short, the next is asked.
        if (greatest is not null && greatest.AskToYield())
        {
            slots.BlockedSinceUs += rules.YieldAfterUs;
        }
        else if (hasNone)
        {
            _nobodyYields = true;
        }
        else
        {
            _nobodyAboveItsShareYields = true;
        }
    }

    private static bool IsGreater(ActionSlots one, ActionSlots other) =>
        one.Share.SandboxBytes != other.Share.SandboxBytes
            ? one.Share.SandboxBytes > other.Share.SandboxBytes
            : one.BusyBytes > other.BusyBytes;
}
