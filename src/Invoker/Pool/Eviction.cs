using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// Finds the memory that an action needs: free bytes first, then idle sandboxes of others, which are ended, at last a running sandbox of a greater
/// user, which is ended when its run ends. Guarded by the room's lock.
/// </summary>
/// <remarks>
/// Thousands of actions may be short of room at once. If nothing was found for the first action of a round, nothing is searched for those behind it,
/// so that each further action costs next to nothing.
/// </remarks>
/// <param name="rules">The figures.</param>
/// <param name="ledger">Where bytes are reserved.</param>
/// <param name="cells">The stem cells, which go last.</param>
/// <param name="holding">The actions that have sandboxes.</param>
/// <param name="uses">The namespaces of these actions, by UUID.</param>
internal sealed class Eviction(RoomRules rules, RoomLedger ledger, StemCells cells, HoldingActions holding, Dictionary<string, NamespaceUse> uses)
{
    private const int ColdStartsToWait = 4;

    private long _stoppingBytes;
    private int _stopping;

    // Sandboxes from the order to start them until they are gone, stem cells among them.
    private int _sandboxes;

    // Found in this round: asking again would find no action to yield.
    private bool _nobodyYields;
    private bool _nobodyAboveItsShareYields;

    /// <summary>True while the machine is short of memory: no stem cell starts, and other sandboxes only after a wait in which idle ones end.</summary>
    public bool IsShort { get; set; }

    /// <summary>A new round begins: forgets the findings of the last round, which may not hold any more.</summary>
    public void BeginRound()
    {
        holding.BeginRound();
        _nobodyYields = _nobodyAboveItsShareYields = false;
    }

    /// <summary>
    /// Reserves the bytes that an idle sandbox needs to be busy. Idle sandboxes of others are ended for it only after a wait as long as several cold starts:
    /// each costs a cold start later, and a run of another action may end meanwhile and free the bytes.
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
    /// Reserves the bytes of one more sandbox. When they are not free, gives false and sees to it that they will be: idle sandboxes are ended, then a greater
    /// user is asked to yield.
    /// </summary>
    /// <param name="slots">The action that needs the sandbox.</param>
    /// <param name="cell">The stem cell that becomes the sandbox, or null when a sandbox is to be started.</param>
    /// <param name="nowUs">The pool's clock.</param>
    /// <param name="actions">Takes what is to be done.</param>
    public bool TryReserve(ActionSlots slots, Slot? cell, long nowUs, List<PoolAction> actions)
    {
        var isNew = cell is null;
        var bytes = slots.LimitBytes - (cell?.ChargedBytes ?? 0);
        var lessSlack = cell?.SlackBytes ?? 0; // a cell that is taken is not idle any more, so no bytes need be kept for it to grow
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

    /// <summary>Reserves the bytes of one more stem cell, if they are free; ends nothing for it.</summary>
    public bool TryReserveCell(long bytes)
    {
        if (_sandboxes >= rules.MostSandboxes || !ledger.TryReserve(bytes))
        {
            return false;
        }

        _sandboxes++;
        return true;
    }

    /// <summary>
    /// Ends idle sandboxes, those of least worth first, until so many bytes are being freed; the bytes of sandboxes that are being ended already count.
    /// </summary>
    public void EndIdle(long bytes, List<PoolAction> actions)
    {
        while (_stoppingBytes < bytes && (holding.TakeLeast(long.MaxValue, uses.Count, wanting: null, evenWaited: false, out _) ?? cells.TakeOther("", 0)) is { } slot)
        {
            Stop(slot, actions);
        }
    }

    /// <summary>Orders a sandbox to be ended. Its bytes stay reserved until it is gone.</summary>
    public void Stop(Slot slot, List<PoolAction> actions)
    {
        Debug.Assert(slot.State != SlotState.Gone, "A sandbox that is gone is not ended again.");
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

    /// <summary>
    /// Bytes that must stay free for other namespaces: a tenth of the room when this sandbox takes its namespace above an equal part, unless it is the
    /// namespace's only one.
    /// </summary>
    private long KeptFromOthers(ActionSlots slots, long bytes) =>
        uses.Count > 1 && slots.Use.SandboxBytes > 0 && slots.Use.SandboxBytes + bytes > rules.CapacityBytes / uses.Count ? rules.CapacityBytes / 10 : 0;

    /// <summary>True once the action has been short of room for so many microseconds. Notes the time when it begins to be short.</summary>
    private static bool HasWaited(ActionSlots slots, long us, long nowUs)
    {
        if (slots.BlockedSinceUs == 0)
        {
            slots.BlockedSinceUs = nowUs;
        }

        return nowUs - slots.BlockedSinceUs >= us;
    }

    /// <summary>Ends idle sandboxes of others, and when these are not enough, asks a greater user to yield.</summary>
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
        // Idle sandboxes are ended even when they do not suffice: then only the rest has to come from a greater user.
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
    /// Asks an action of the greatest user to end a running sandbox, when nothing idles. An action without a sandbox may take from any action, also of its
    /// own namespace. An action with sandboxes may take only from a namespace that has more than an equal part of the room, and only until its own has that.
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

        // One at a time for each action that is short: if it is still short after YieldAfterUs, the next is asked.
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
