using System.Diagnostics;

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
/// <param name="holding">The actions that have sandboxes.</param>
/// <param name="uses">Their namespaces.</param>
internal sealed class Eviction(RoomRules rules, RoomLedger ledger, StemCells cells, HoldingActions holding, Dictionary<string, NamespaceUse> uses)
{
    private const int ColdStartsToWait = 4;

    private long _stoppingBytes;
    private int _stopping;

    // Started and not gone, stem cells among them.
    private int _sandboxes;

    // What this round has found.
    private bool _nobodyYields;
    private bool _nobodyAboveItsShareYields;

    /// <summary>True while the machine is short of memory: no stem cell starts, and others only after a wait in which idle ones end.</summary>
    public bool IsShort { get; set; }

    /// <summary>A new round begins: what the last one found may have changed.</summary>
    public void BeginRound()
    {
        holding.BeginRound();
        _nobodyYields = _nobodyAboveItsShareYields = false;
    }

    /// <summary>
    /// Reserves the bytes that an idle sandbox needs to be busy. Runs of others may end meanwhile: only a wait as long as several cold starts ends idle
    /// sandboxes of others, each of which is a cold start to come.
    /// </summary>
    public bool TryReserveToWake(ActionSlots slots, long bytes, long nowUs, List<PoolAction> actions)
    {
        if (ledger.TryReserve(bytes, lessSlack: bytes))
        {
            return true;
        }

        if (HasWaited(slots, ColdStartsToWait * slots.ColdStartUs, nowUs))
        {
            BringAbout(slots, bytes + ledger.Kept(bytes), 0, slots.Count().Busy == 0, nowUs, actions);
        }

        return false;
    }

    /// <summary>
    /// Reserves the bytes of one sandbox more, or does what brings them about and says no for now: idle ones are ended, then a greater user
    /// is asked to yield.
    /// </summary>
    /// <param name="slots">Who needs it.</param>
    /// <param name="cell">The stem cell that becomes it, or null when it is to be started.</param>
    /// <param name="nowUs">The pool's clock.</param>
    /// <param name="actions">Takes what is to be done.</param>
    public bool TryReserve(ActionSlots slots, Slot? cell, long nowUs, List<PoolAction> actions)
    {
        var isNew = cell is null;
        var bytes = slots.LimitBytes - (cell?.ChargedBytes ?? 0);
        var lessSlack = cell?.SlackBytes ?? 0; // a cell that is taken is nothing idle any more that could grow
        if (isNew && IsShort && !HasWaited(slots, rules.NoOvertakingAfterUs, nowUs))
        {
            return false;
        }

        var tooMany = isNew && _sandboxes >= rules.MostSandboxes;
        var kept = KeptFromOthers(slots, bytes);
        if (!tooMany && TryReserve(bytes, kept, lessSlack))
        {
            _sandboxes += isNew ? 1 : 0;
            return true;
        }

        if (HasWaited(slots, 0, nowUs))
        {
            BringAbout(slots, bytes + kept + ledger.Kept(lessSlack), tooMany ? 1 : 0, slots.Count().Sandboxes == 0, nowUs, actions);
        }

        return false;
    }

    /// <summary>Reserves the bytes of one more stem cell, if that costs nobody anything.</summary>
    public bool TryReserveCell(long bytes)
    {
        if (_sandboxes >= rules.MostSandboxes || !ledger.TryReserve(bytes))
        {
            return false;
        }

        _sandboxes++;
        return true;
    }

    /// <summary>Ends idle sandboxes until so many bytes will be free, those of least worth first. What is being ended counts already.</summary>
    public void EndIdle(long bytes, List<PoolAction> actions)
    {
        while (_stoppingBytes < bytes && (holding.TakeLeast(long.MaxValue, uses.Count, wanting: null, evenWaited: false, out _) ?? cells.TakeOther("", 0)) is { } slot)
        {
            Stop(slot, actions);
        }
    }

    /// <summary>Has a sandbox ended. Its bytes count until it is gone.</summary>
    public void Stop(Slot slot, List<PoolAction> actions)
    {
        Debug.Assert(slot.State != SlotState.Gone, "What is gone is not ended again.");
        slot.State = SlotState.Stopping;
        holding.Forget(slot);
        _stoppingBytes += slot.ChargedBytes;
        _stopping++;
        actions.Add(new PoolAction(PoolActionKind.Stop, slot, null));
    }

    /// <summary>A sandbox that was to be ended is gone.</summary>
    public void Stopped(Slot slot)
    {
        _stoppingBytes -= slot.ChargedBytes;
        _stopping--;
        Debug.Assert(_stopping >= 0 && _stoppingBytes >= 0, "More has ended than was being ended.");
        Gone(slot);
    }

    /// <summary>A sandbox is gone, or did not come up.</summary>
    public void Gone(Slot slot)
    {
        Debug.Assert(slot.State is SlotState.Starting or SlotState.Stopping, "A sandbox is gone once.");
        slot.State = SlotState.Gone;
        _sandboxes--;
        Debug.Assert(_sandboxes >= _stopping);
        ledger.Release(slot.ChargedBytes);
    }

    private bool TryReserve(long bytes, long kept, long lessSlack)
    {
        if (bytes <= 0)
        {
            ledger.Release(-bytes);
            return true;
        }

        if (!ledger.TryReserve(bytes + kept, lessSlack))
        {
            return false;
        }

        ledger.Release(kept);
        return true;
    }

    /// <summary>The last tenth of the room is not for a namespace that is above its share; but one sandbox, however large, everybody may have.</summary>
    private long KeptFromOthers(ActionSlots slots, long bytes) =>
        uses.Count > 1 && slots.Use.SandboxBytes > 0 && slots.Use.SandboxBytes + bytes > rules.CapacityBytes / uses.Count ? rules.CapacityBytes / 10 : 0;

    /// <summary>True once the action has been short of room for so long. Notes since when it is.</summary>
    private static bool HasWaited(ActionSlots slots, long us, long nowUs)
    {
        if (slots.BlockedSinceUs == 0)
        {
            slots.BlockedSinceUs = nowUs;
        }

        return nowUs - slots.BlockedSinceUs >= us;
    }

    /// <summary>Ends what others leave idle, and when that is not enough, asks a greater user to yield.</summary>
    private void BringAbout(ActionSlots slots, long bytes, int sandboxes, bool hasNone, long nowUs, List<PoolAction> actions)
    {
        var missing = bytes - (rules.CapacityBytes - ledger.Reserved) - _stoppingBytes;
        var tooMany = sandboxes - _stopping;
        if (missing <= 0 && tooMany <= 0)
        {
            return;
        }

        var idleBefore = hasNone ? long.MaxValue : nowUs - rules.SpareIdleUs;
        if (!EvictIdle(ref missing, ref tooMany, idleBefore, slots, evenWaited: false, actions) && nowUs - slots.BlockedSinceUs >= rules.YieldAfterUs
            && !(hasNone && EvictIdle(ref missing, ref tooMany, idleBefore, slots, evenWaited: true, actions)))
        {
            AskGreatestToYield(slots, hasNone);
        }
    }

    private bool EvictIdle(ref long missing, ref int tooMany, long idleBeforeUs, ActionSlots wanting, bool evenWaited, List<PoolAction> actions)
    {
        // Ended even when they do not suffice: what is missing then comes from a greater user, and waits for these no longer.
        while ((missing > 0 || tooMany > 0) && holding.TakeLeast(idleBeforeUs, uses.Count, wanting, evenWaited, out var worth) is { } slot)
        {
            missing -= slot.ChargedBytes + (ledger.Kept() < rules.ReserveBytes ? slot.SlackBytes : 0);
            tooMany--;
            ledger.WorthOfLastEnded = Math.Max(ledger.WorthOfLastEnded, worth);
            Stop(slot, actions);
        }

        while ((missing > 0 || tooMany > 0) && cells.TakeOther(wanting.Family, wanting.LimitBytes) is { } cell)
        {
            missing -= cell.ChargedBytes;
            tooMany--;
            Stop(cell, actions);
        }

        return missing <= 0 && tooMany <= 0;
    }

    /// <summary>
    /// Nothing idles. Whoever has none may take from whoever has most, also from its own namespace; whoever has some, only
    /// from a namespace above its share, and only up to its own.
    /// </summary>
    private void AskGreatestToYield(ActionSlots slots, bool hasNone)
    {
        var use = rules.CapacityBytes / Math.Max(1, uses.Count);
        if (hasNone ? _nobodyYields : _nobodyAboveItsShareYields || slots.Use.SandboxBytes + slots.LimitBytes > use)
        {
            return;
        }

        ActionSlots? greatest = null;
        foreach (var other in ledger.Busy.Look())
        {
            if (other != slots && other.Count().Running > 0 && (hasNone || other.Use.SandboxBytes > use) && (greatest is null || IsGreater(other, greatest)))
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
        one.Use.SandboxBytes != other.Use.SandboxBytes
            ? one.Use.SandboxBytes > other.Use.SandboxBytes
            : one.BusyBytes > other.BusyBytes;
}
