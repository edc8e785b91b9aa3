using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// The owner of the room: decides which sandboxes start, which are ended, and which actions wait. One lock, taken only when an action finds no warm
/// sandbox. Event in, actions out; no clock, no I/O, nothing random, so that a simulation replays a whole day of it from a seed.
/// </summary>
internal sealed class Room
{
    private const long LongestTickUs = 100_000;
    private readonly Lock _lock = new();
    private readonly RoomRules _rules;
    private readonly StemCells _cells;
    private readonly Dictionary<string, NamespaceUse> _uses = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FamilyCost> _families = new(StringComparer.Ordinal);
    private readonly List<ActionSlots> _actions = [];
    private readonly HoldingActions _holding;
    private readonly WantingActions _wanting = new();
    private readonly Eviction _eviction;
    private readonly List<Slot> _expired = [];
    private readonly PauseRule _pauses;
    private long _lastTickUs;
    private long _refillNotBeforeUs;
    private volatile bool _refillHeldBack;
    private int _starting;
    private int _lastNumber;
    private bool _closing;

    public Room(RoomRules rules)
    {
        _rules = rules;
        Ledger = new RoomLedger(rules);
        _cells = new StemCells(rules, Ledger);
        _pauses = new PauseRule(rules);
        _holding = new HoldingActions(rules);
        _eviction = new Eviction(rules, Ledger, _cells, _holding, _uses);
    }

    public RoomLedger Ledger { get; }

    /// <summary>True while one of the next ticks is to start stem cells in place of those that were taken.</summary>
    public bool RefillHeldBack => _refillHeldBack;

    /// <summary>Makes the slots of a key that the pool does not know yet.</summary>
    public ActionSlots Add(PoolKey key, string family, long limitBytes, int maxInstances)
    {
        lock (_lock)
        {
            if (!_uses.TryGetValue(key.NamespaceUuid, out var use))
            {
                use = new NamespaceUse(key.NamespaceUuid) { Used = LeastUsed() };
                _uses.Add(key.NamespaceUuid, use);
            }

            use.Actions++;
            var cost = CostOf(family);
            var slots = new ActionSlots(key, use, _rules, Ledger, cost, family, limitBytes, maxInstances) { ColdStartUs = cost.ColdStartUs, IsRetired = _closing };
            _actions.Add(slots);
            return slots;
        }
    }

    /// <summary>The action has activations waiting that its own sandboxes do not serve soon enough.</summary>
    public void Ask(ActionSlots slots, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            Want(slots);
            _eviction.BeginRound();
            if (!_wanting.WaitsBefore(slots, nowUs - _rules.NoOvertakingAfterUs))
            {
                // Nothing has changed for the other actions, so only this one is looked at.
                Give(slots, nowUs, actions);
            }

            Settle(nowUs, actions);
        }
    }

    /// <summary>A sandbox has become idle while an action waited for room: that action may now have the memory it needs.</summary>
    public void Freed(long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            Decide(nowUs, actions, untilNoneWakes: true);
        }
    }

    /// <summary>A sandbox is up, or a stem cell is specialised.</summary>
    /// <param name="slot">The slot of the sandbox.</param>
    /// <param name="tookUs">Microseconds that the start took; 0 for a stem cell.</param>
    /// <param name="nowUs">The pool's clock.</param>
    /// <param name="actions">Takes what is to be done.</param>
    public void Started(Slot slot, long tookUs, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            Debug.Assert(slot.State == SlotState.Starting);
            if (tookUs > 0)
            {
                _starting--;
                Debug.Assert(_starting >= 0);
                CostOf(slot.Family).StartTook(tookUs);
            }

            if (slot.Owner is null)
            {
                slot.SinceUs = nowUs;
                _cells.Started(slot);
                if (_closing)
                {
                    EndIdle(actions);
                }
            }
            else
            {
                slot.Owner.ColdStartUs = CostOf(slot.Family).ColdStartUs;
                slot.Owner.Started(slot, nowUs, actions);
                EndIdleOf(slot.Owner, slot.Owner.IsRetired, actions);
            }

            Decide(nowUs, actions);
        }
    }

    /// <summary>A sandbox did not come up, or with <paramref name="wasCell"/> a stem cell could not be specialised.</summary>
    public void StartFailed(Slot slot, bool wasCell, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _starting -= wasCell ? 0 : 1;
            Debug.Assert(_starting >= 0 && slot.State == SlotState.Starting);
            _eviction.Gone(slot);
            if (slot.Owner is null)
            {
                _cells.StartFailed(slot.Family, nowUs);
            }
            else
            {
                slot.Owner.StartFailed(nowUs, actions);
                _holding.Remove(slot.Owner);
                Want(slot.Owner);
            }

            Decide(nowUs, actions);
        }
    }

    /// <summary>Ends a sandbox that <see cref="ActionSlots.Return"/> took out.</summary>
    public void Discard(Slot slot, bool ask, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _eviction.Stop(slot, actions);
            if (ask)
            {
                Want(slot.Owner!);
            }

            Decide(nowUs, actions);
        }
    }

    /// <summary>A sandbox has ended: its memory is free.</summary>
    public void Stopped(Slot slot, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _eviction.Stopped(slot);
            if (slot.Owner is not null)
            {
                _holding.Remove(slot.Owner);
            }

            Decide(nowUs, actions);
        }
    }

    /// <summary>The sandbox's process ended by itself. If the sandbox idles it is taken out; if it runs an activation, that run sees it.</summary>
    public void Died(Slot slot, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            if (slot.Owner is { } owner ? owner.TakeIfIdle(slot) : _cells.Remove(slot))
            {
                _eviction.Stop(slot, actions);
                Decide(nowUs, actions);
            }
        }
    }

    /// <summary>
    /// An idle sandbox was measured to use so many bytes; 0 when it could not be measured. When all sandboxes together take more than the room, idle ones end.
    /// </summary>
    public void Measured(Slot slot, long bytes, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            if (slot.Owner is not { } owner)
            {
                _cells.Measured(slot, bytes, nowUs);
                CostOf(slot.Family).CellIdles(bytes);
            }
            else if (slot.State == SlotState.Idle && bytes > 0)
            {
                CostOf(slot.Family).Idles(bytes);
                if (owner.Measured(slot, bytes, nowUs))
                {
                    _holding.Grew(slot);
                }
            }
            else
            {
                owner.Measured(slot, 0, nowUs);
            }

            if (Ledger.Reserved > _rules.CapacityBytes)
            {
                _eviction.BeginRound();
                _eviction.EndIdle(Ledger.Reserved - _rules.CapacityBytes, actions);
            }
        }
    }

    /// <summary>An idle sandbox has used the cores for so many microseconds by that time; null when that cannot be measured.</summary>
    public void Looked(Slot slot, long? cpuUs, long atUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            if (slot.Owner!.Looked(slot, _pauses, cpuUs, atUs, actions))
            {
                _eviction.Stop(slot, actions);
                Decide(atUs, actions);
            }
        }
    }

    /// <summary>An idle sandbox is paused, or could not be paused: then it is ended.</summary>
    public void Paused(Slot slot, bool succeeded, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            if (slot.Owner!.Paused(slot, succeeded))
            {
                _eviction.Stop(slot, actions);
                Decide(nowUs, actions);
            }
        }
    }

    /// <summary>
    /// This revision of the action is <paramref name="retired"/>, or clients call it again. Of a retired one idle sandboxes end now, and running ones when no
    /// activation waits.
    /// </summary>
    public void Retire(ActionSlots slots, bool retired, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            slots.IsRetired = retired || _closing;
            EndIdleOf(slots, slots.IsRetired, actions);
            Decide(nowUs, actions);
        }
    }

    /// <summary>Looks at everything that time alone changes.</summary>
    /// <param name="nowUs">The pool's clock.</param>
    /// <param name="lateUs">Microseconds that this tick comes late, which shows how long the busy machine holds up any thread.</param>
    /// <param name="coreIdles">True when the machine has a core to spare.</param>
    /// <param name="actions">Takes what is to be done.</param>
    public void Tick(long nowUs, long lateUs, bool coreIdles, List<PoolAction> actions)
    {
        lock (_lock)
        {
            var passedUs = Math.Min(nowUs - _lastTickUs, LongestTickUs);
            _lastTickUs = nowUs;
            var busy = Ledger.Busy.Look();
            var shortRuns = 0;
            foreach (var slots in busy)
            {
                var now = slots.Count();
                shortRuns += now.ShortRuns;
                slots.Use.Used += (double)now.Busy * slots.LimitBytes * passedUs;
            }

            Ledger.Ticked(lateUs, coreIdles, shortRuns);
            foreach (var slots in busy)
            {
                if (slots.Tick(nowUs, coreIdles, actions))
                {
                    Want(slots);
                }
            }

            Decide(nowUs, actions);
        }
    }

    /// <summary>The look at memory, about ten times a second: idle sandboxes end while the machine has too little, and some are measured.</summary>
    /// <param name="nowUs">The pool's clock.</param>
    /// <param name="missingBytes">Bytes by which the machine has less memory available than it should; 0 when it has enough.</param>
    /// <param name="measure">False to measure no sandbox this time.</param>
    /// <param name="actions">Takes what is to be done.</param>
    public void Look(long nowUs, long missingBytes, bool measure, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _eviction.IsShort = missingBytes > 0;
            if (missingBytes > 0)
            {
                _eviction.BeginRound();
                _eviction.EndIdle(missingBytes, actions);
            }

            if (measure)
            {
                _holding.AskToMeasure(nowUs, actions);
                _cells.AskToMeasure(nowUs, actions);
            }
        }
    }

    /// <summary>
    /// The slower look, about once a second: pauses and ends idle sandboxes whose time has come, and forgets actions. Their keys are added to
    /// <paramref name="forgotten"/>.
    /// </summary>
    public void Sweep(long nowUs, List<PoolAction> actions, List<PoolKey> forgotten)
    {
        lock (_lock)
        {
            _pauses.BeginSweep();
            for (var i = _actions.Count - 1; i >= 0; i--)
            {
                var slots = _actions[i];
                slots.Expire(nowUs, _expired);
                slots.Pause(_pauses, nowUs, actions);
                EndIdleOf(slots, slots.IsRetired, actions);
                if (slots.WantingAt < 0 && slots.TryClose(nowUs))
                {
                    forgotten.Add(slots.Key);
                    _actions.RemoveAt(i);
                    if (--slots.Use.Actions == 0)
                    {
                        _uses.Remove(slots.Use.Uuid);
                    }
                }
            }

            foreach (var slot in _expired)
            {
                _eviction.Stop(slot, actions);
            }

            _expired.Clear();
            Decide(nowUs, actions);
        }
    }

    /// <summary>
    /// The pool closes: no stem cell starts any more, waiting activations are refused, and each sandbox is ended: an idle one now, others when their start or
    /// run has ended.
    /// </summary>
    public void Close(long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _closing = true;
            _actions.ForEach(slots =>
            {
                slots.IsRetired = true;
                slots.RefuseWaiting(nowUs, actions);
            });
            EndIdle(actions);
        }
    }

    /// <summary>The counts that operators see.</summary>
    public PoolCounts Count()
    {
        lock (_lock)
        {
            var counts = new PoolCounts { StemCells = _cells.Ready, StemCellBytes = _cells.ReadyBytes, Starting = _starting, ReservedBytes = Ledger.Reserved };
            foreach (var slots in _actions)
            {
                var now = slots.Count();
                counts.Running += now.Running;
                counts.Busy += now.Busy > 0 ? 1 : 0;
                counts.RunningBytes += now.Running * slots.LimitBytes;
                counts.Idle += now.Idle;
                counts.IdleBytes += now.Idle * slots.LimitBytes;
            }

            counts.Queued = Ledger.Queued;
            counts.QueuedBytes = Ledger.QueuedBytes;
            return counts;
        }
    }

    private void Want(ActionSlots slots)
    {
        if (_wanting.TryAdd(slots))
        {
            Ledger.TellThatSomebodyWaits(true);

            // A namespace that was away does not come first for that: it stands beside the one that has had least.
            slots.Use.Used = Math.Max(slots.Use.Used, slots.Use.SandboxBytes == 0 ? LeastUsed() : 0);
        }
    }

    /// <summary>Gives sandboxes and room to each wanting action in turn, until no action wants more or no room is left.</summary>
    /// <param name="nowUs">The pool's clock.</param>
    /// <param name="actions">Takes what is to be done.</param>
    /// <param name="untilNoneWakes">True to stop at the first action whose idle sandbox cannot be busy for want of room: those behind seldom need less.</param>
    private void Decide(long nowUs, List<PoolAction> actions, bool untilNoneWakes = false)
    {
        if (_wanting.Count > 0)
        {
            _eviction.BeginRound();
            foreach (var turn in _wanting.InTurn())
            {
                if (Give(turn.Slots, nowUs, actions) is { } missing
                    && ((untilNoneWakes && missing == Need.Wake) || (turn.Slots.BlockedSinceUs != 0 && nowUs - turn.Slots.BlockedSinceUs > _rules.NoOvertakingAfterUs)))
                {
                    break;
                }
            }
        }

        Settle(nowUs, actions);
    }

    /// <summary>Tells the ledger when no action waits any more, and refills the stem cells.</summary>
    private void Settle(long nowUs, List<PoolAction> actions)
    {
        if (Ledger.SomebodyWaits && _wanting.Count == 0)
        {
            Ledger.TellThatSomebodyWaits(false);
        }

        RefillStemCells(nowUs, actions);
        Debug.Assert(_starting <= _rules.StartsAtOnce, "More start at a time than may.");
        Debug.Assert(Ledger.SomebodyWaits || _wanting.Count == 0, "An action wants something, and the ledger does not say so.");
    }

    /// <summary>Gives the action all that it needs, and null; or the need for which there is not enough room.</summary>
    private Need? Give(ActionSlots slots, long nowUs, List<PoolAction> actions)
    {
        while (slots.NeedOf(nowUs, out var wakeBytes) is var need and not Need.Nothing)
        {
            if (!(need == Need.Wake ? TryWake(slots, wakeBytes, nowUs, actions) : TryStart(slots, nowUs, actions)))
            {
                return need;
            }

            slots.BlockedSinceUs = 0;
        }

        slots.BlockedSinceUs = 0;
        _wanting.Remove(slots);
        return null;
    }

    private bool TryWake(ActionSlots slots, long wakeBytes, long nowUs, List<PoolAction> actions)
    {
        if (wakeBytes > 0 && !_eviction.TryReserveToWake(slots, wakeBytes, nowUs, actions))
        {
            return false;
        }

        Ledger.Release(wakeBytes);
        slots.Wake(nowUs, actions);
        return true;
    }

    private bool TryStart(ActionSlots slots, long nowUs, List<PoolAction> actions)
    {
        var cell = _cells.Find(slots.Family, slots.LimitBytes);
        if (cell is null && _starting >= _rules.StartsAtOnce)
        {
            return false;
        }

        if (!_eviction.TryReserve(slots, cell, nowUs, actions))
        {
            return false;
        }

        _holding.Add(slots);
        HoldRefillBack(nowUs);
        if (cell is null)
        {
            _starting++;
            cell = new Slot(++_lastNumber, slots.Family, slots.LimitBytes);
            slots.Starting(cell);
            actions.Add(new PoolAction(PoolActionKind.Start, cell, null));
            return true;
        }

        _cells.Remove(cell);
        cell.LimitBytes = cell.ChargedBytes = slots.LimitBytes;
        slots.Starting(cell);
        actions.Add(new PoolAction(PoolActionKind.Specialise, cell, null));
        return true;
    }

    private double LeastUsed()
    {
        var least = double.MaxValue;
        foreach (var use in _uses.Values)
        {
            least = use.SandboxBytes > 0 ? Math.Min(least, use.Used) : least;
        }

        return least == double.MaxValue ? 0 : least;
    }

    private void HoldRefillBack(long nowUs)
    {
        if (!_refillHeldBack)
        {
            _refillNotBeforeUs = nowUs + _rules.RefillAfterUs;
            _refillHeldBack = true;
        }
    }

    private void RefillStemCells(long nowUs, List<PoolAction> actions)
    {
        if (_closing || _eviction.IsShort || _wanting.Count > 0 || (_refillHeldBack && nowUs < _refillNotBeforeUs))
        {
            return;
        }

        _refillHeldBack = false;
        while (_starting < _rules.StartsAtOnce && _cells.Missing(nowUs) is { } rule && _eviction.TryReserveCell(rule.LimitBytes))
        {
            _starting++;
            var cell = new Slot(++_lastNumber, rule.Family, rule.LimitBytes);
            _cells.Starting(rule.Family);
            actions.Add(new PoolAction(PoolActionKind.Start, cell, null));
        }
    }

    private void EndIdle(List<PoolAction> actions)
    {
        while (_cells.TakeOther("", 0) is { } cell)
        {
            _eviction.Stop(cell, actions);
        }

        foreach (var slots in _actions)
        {
            EndIdleOf(slots, really: true, actions);
        }
    }

    private void EndIdleOf(ActionSlots slots, bool really, List<PoolAction> actions)
    {
        while (really && slots.TakeUnwaited() is { } slot)
        {
            _eviction.Stop(slot, actions);
        }
    }

    private FamilyCost CostOf(string family)
    {
        if (!_families.TryGetValue(family, out var cost))
        {
            _families.Add(family, cost = new FamilyCost(_rules.FirstColdStartUs));
        }

        return cost;
    }
}
