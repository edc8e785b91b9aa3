using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace Frusta.Invoker.Pool;

/// <summary>
/// The sandboxes and the queue of one action for one namespace. Event in, answer out; no clock and no I/O. Its lock is a
/// leaf: a thread that holds it takes no other. To take a warm sandbox and to return it needs only this lock.
/// </summary>
internal sealed class ActionSlots
{
    private readonly Lock _lock = new();
    private readonly RoomRules _rules;
    private readonly RoomLedger _ledger;
    private readonly StartRule _rule;
    private readonly ActionQueue _waiting;
    private readonly IdleSlots _idle;
    private int _initialising;
    private int _starting;
    private int _yields;
    private int _failedStarts;
    private bool _asked;
    private bool _closed;
    private bool _busy;
    private volatile bool _retired;
    private long _lastSeenUs;

    public ActionSlots(PoolKey key, NamespaceUse use, RoomRules rules, RoomLedger ledger, FamilyCost family, string familyName, long limitBytes, int maxInstances)
    {
        (Key, Use, Family, LimitBytes) = (key, use, familyName, limitBytes);
        _rules = rules;
        _ledger = ledger;
        _rule = new StartRule(rules, ledger, maxInstances);
        _waiting = new ActionQueue(use, rules, ledger, _rule);
        _idle = new IdleSlots(rules, ledger, family);
    }

    public PoolKey Key { get; }

    public NamespaceUse Use { get; }

    public string Family { get; }

    public long LimitBytes { get; }

    /// <summary>Microseconds that a cold start of this family costs, without loading the code; set by the room.</summary>
    public long ColdStartUs
    {
        get => _rule.ColdStartUs;
        set => _rule.ColdStartUs = value;
    }

    /// <summary>
    /// Since when the room has had too little for this action, in microseconds of the pool's clock; 0 when it is not short. Guarded by the room's lock.
    /// </summary>
    public long BlockedSinceUs { get; set; }

    /// <summary>Place among the <see cref="WantingActions"/>; -1 when it is none of them. Guarded by the room's lock.</summary>
    public int WantingAt { get; set; } = -1;

    /// <summary>Place among the actions that have sandboxes; -1 when it has none. Guarded by the room's lock.</summary>
    public int HoldingAt { get; set; } = -1;

    /// <summary>The action before it in the list of <see cref="BusyActions"/>, which alone reads and writes this link.</summary>
    public ActionSlots? AddedBefore { get; set; }

    /// <summary>True while an idle sandbox has not been measured since a run that may have changed its use of memory.</summary>
    public bool HasUnseen => _idle.Unseen > 0;

    /// <summary>
    /// True once the action has another revision, or none, or the pool closes: idle sandboxes are to be ended, and running ones as soon as no
    /// activation waits. Set by the room.
    /// </summary>
    public bool IsRetired
    {
        get => _retired;
        set => _retired = value;
    }

    /// <summary>Keeps a place for an activation that is to arrive: <see cref="Arrival.Queued"/>, or the bound that is reached.</summary>
    public Arrival Reserve(Waiting item)
    {
        lock (_lock)
        {
            return _closed ? Arrival.Closed : _waiting.Keep(item, _idle.Count);
        }
    }

    /// <summary>The activation for which a place was kept will not arrive.</summary>
    public void GiveBack(Waiting item)
    {
        lock (_lock)
        {
            _waiting.GiveBack(item);
        }
    }

    /// <summary>Takes a warm sandbox for the activation, or queues it.</summary>
    public Arrival Arrive(Waiting item, long nowUs, out Slot? slot)
    {
        lock (_lock)
        {
            slot = null;
            if (_closed)
            {
                return Arrival.Closed;
            }

            _lastSeenUs = nowUs;
            item.ReceivedUs = nowUs;
            if (!_busy)
            {
                _busy = true;
                _ledger.Busy.Add(this);
            }

            if (_waiting.Count == 0 && TryTakeIdle(nowUs, out slot))
            {
                _waiting.GiveBack(item);
                return slot.Pause.Wake() ? Arrival.Resume : Arrival.Run;
            }

            return Enqueue(item, nowUs);
        }
    }

    /// <summary>The code is loaded and the run begins: the age of the run counts from here.</summary>
    public void RunBegan(Slot slot, long nowUs)
    {
        lock (_lock)
        {
            if (slot.State == SlotState.Initialising)
            {
                _initialising--;
                slot.Initialised = true;
                _rule.Initialised(nowUs - slot.SinceUs);
                BeginRun(slot, nowUs);
            }
        }
    }

    /// <summary>
    /// The activation in the slot has ended. Gives the next activation that waits, or null: then the slot is idle, or, with <paramref name="stop"/>,
    /// the caller has to hand it to <see cref="Room.Discard"/>. With <paramref name="ask"/> the caller has to ask the room: this action wants another
    /// sandbox in place of the one that stops, or other actions wait for the memory of the sandbox that is idle now (<see cref="Room.Freed"/>).
    /// </summary>
    public Waiting? Return(Slot slot, bool keep, long nowUs, out bool stop, out bool ask)
    {
        lock (_lock)
        {
            Debug.Assert(slot.Owner == this && slot.State is SlotState.Initialising or SlotState.Running, "Only a sandbox that holds an activation gives it back.");
            EndRun(slot, nowUs);
            _lastSeenUs = nowUs;
            stop = !keep || !slot.Initialised || _yields > 0 || (_retired && _waiting.Count == 0);
            if (stop)
            {
                _yields = Math.Max(0, _yields - 1);
                slot.State = SlotState.Stopping;
                ask = WantsMore(nowUs);
                _asked |= ask;
                return null;
            }

            ask = false;
            if (_waiting.Count > 0)
            {
                BeginRun(slot, nowUs);
                return _waiting.Dequeue(nowUs);
            }

            slot.IsSeen &= nowUs - slot.SinceUs < _rules.LongRunUs;
            _idle.Add(slot, nowUs);
            ask = _ledger.SomebodyWaits;
            return null;
        }
    }

    /// <summary>How many sandboxes and runs the action has at this moment.</summary>
    public SlotCounts Count()
    {
        lock (_lock)
        {
            return new SlotCounts(_rule.Running, _rule.ShortRuns, Coming, _idle.Count, _waiting.HeadReceivedUs);
        }
    }

    /// <summary>Bytes of the sandboxes that hold an activation or are starting.</summary>
    public long BusyBytes => Count().Busy * LimitBytes;

    /// <summary>
    /// False while the action runs or waits for something. True when it does neither: <see cref="Arrive"/> adds it to <see cref="BusyActions"/> again.
    /// </summary>
    public bool TryRest()
    {
        lock (_lock)
        {
            _busy = _rule.Running + Coming + _waiting.Count > 0;
            return !_busy;
        }
    }

    private int Coming => _starting + _initialising;

    private int Total => _idle.Count + _rule.Running + Coming;

    // The room calls the methods that follow, under its lock.

    /// <summary>
    /// What the action needs now, with the bytes that its next idle sandbox needs to be busy. The room stays asked as long as the action needs something.
    /// </summary>
    internal Need NeedOf(long nowUs, out long wakeBytes)
    {
        lock (_lock)
        {
            wakeBytes = 0;
            _asked = WantsMore(nowUs);
            if (!_asked)
            {
                return Need.Nothing;
            }

            if (_idle.Count == 0)
            {
                return Need.Start;
            }

            wakeBytes = _idle.WakeBytes;
            return Need.Wake;
        }
    }

    /// <summary>Runs waiting activations in idle sandboxes, as far as the ledger has room for these to be busy.</summary>
    internal void Wake(long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            while (_waiting.Count > 0 && TryTakeIdle(nowUs, out var slot))
            {
                actions.Add(new PoolAction(slot.Pause.Wake() ? PoolActionKind.Resume : PoolActionKind.Run, slot, _waiting.Dequeue(nowUs)));
            }
        }
    }

    internal void Starting(Slot slot)
    {
        lock (_lock)
        {
            Debug.Assert(slot.Owner is null && slot.State is SlotState.Starting or SlotState.Idle, "A sandbox is new, or an idle stem cell, when it becomes an action's.");
            slot.Owner = this;
            slot.State = SlotState.Starting;
            _starting++;
            _rule.StartBegan();
        }
    }

    /// <summary>A sandbox is up: it takes the first activation that waits; when none waits it is idle.</summary>
    internal void Started(Slot slot, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            Debug.Assert(slot.Owner == this && slot.State == SlotState.Starting && _starting > 0);
            _starting--;
            _failedStarts = 0;
            _rule.NumberChanged(nowUs);
            if (_waiting.Count == 0)
            {
                _idle.Add(slot, nowUs);
                return;
            }

            slot.State = SlotState.Initialising;
            slot.SinceUs = nowUs;
            _initialising++;
            actions.Add(new PoolAction(PoolActionKind.Run, slot, _waiting.Dequeue(nowUs)));
        }
    }

    /// <summary>A start failed. After too many failures in a row all waiting activations are refused, unless the action has another sandbox to serve them.</summary>
    internal void StartFailed(long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            Debug.Assert(_starting > 0);
            _starting--;
            _failedStarts++;
            if (_failedStarts < _rules.StartTries || Total > 0)
            {
                return;
            }

            _failedStarts = 0;
            _waiting.RefuseAll(nowUs, actions);
        }
    }

    /// <summary>Refuses all waiting activations, since the pool closes.</summary>
    internal void RefuseWaiting(long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _waiting.RefuseAll(nowUs, actions);
        }
    }

    /// <summary>
    /// Looks at everything that time alone changes: refuses activations that waited too long, and decides whether the action gets a sandbox more or one less.
    /// True when the room is to be asked for a sandbox.
    /// </summary>
    internal bool Tick(long nowUs, bool coreIdles, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _waiting.Expire(nowUs, actions);
            _rule.LookAtQueue(_waiting.Count, Coming, coreIdles, nowUs);
            if (_yields == 0 && _rule.HasSurplus(coreIdles, nowUs))
            {
                _yields++;
                _rule.NumberChanged(nowUs);
            }

            if (_asked || !WantsMore(nowUs))
            {
                return false;
            }

            _asked = true;
            return true;
        }
    }

    /// <summary>Takes out the sandboxes that were idle for too long.</summary>
    internal void Expire(long nowUs, List<Slot> expired)
    {
        lock (_lock)
        {
            _idle.Expire(nowUs, expired);
        }
    }

    /// <summary>Asks for the idle sandboxes to be paused or looked at whose time has come.</summary>
    internal void Pause(PauseRule rule, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _idle.Pause(rule, nowUs, actions);
        }
    }

    /// <summary>
    /// A sandbox was looked at. If it uses the cores although it is idle, it is paused, or where it cannot be paused taken out. True when it was taken out:
    /// the caller ends it.
    /// </summary>
    internal bool Looked(Slot slot, PauseRule rule, long? cpuUs, long atUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            if (!rule.Burns(slot, cpuUs, atUs))
            {
                return false;
            }

            if (!slot.Pause.IsPossible)
            {
                return _idle.Remove(slot);
            }

            PauseRule.Begin(slot, actions);
            return false;
        }
    }

    /// <summary>
    /// A pause was carried out, or failed. An activation that took the sandbox meanwhile resumes it. True when the pause failed and the sandbox was taken out:
    /// the caller ends it.
    /// </summary>
    internal bool Paused(Slot slot, bool succeeded)
    {
        lock (_lock)
        {
            if (slot.State != SlotState.Idle || slot.Pause.State != PauseState.Pausing)
            {
                return false;
            }

            slot.Pause.State = PauseState.Paused;
            return !succeeded && _idle.Remove(slot);
        }
    }

    /// <summary>Asks for at most so many idle sandboxes to be measured. Gives their number.</summary>
    internal int AskToMeasure(int most, bool unseenOnly, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            return _idle.AskToMeasure(most, unseenOnly, nowUs, actions);
        }
    }

    /// <summary>
    /// The worth of the sandbox that is idle for longest, or <see cref="double.MaxValue"/> when none is idle since before then. It is the worth of the
    /// sandbox that had been ended last when this one was last used, plus the microseconds of cold starts that its runs have saved for each megabyte
    /// (docs/decisions/0013-which-sandbox-goes.md).
    /// </summary>
    /// <param name="idleBeforeUs">Before when it must have become idle, in microseconds of the pool's clock.</param>
    /// <param name="left">How many sandboxes of this action must be left idle.</param>
    /// <param name="evenWaited">True to look also at an action whose activations wait for their idle sandboxes.</param>
    internal double LeastWorth(long idleBeforeUs, int left, bool evenWaited)
    {
        lock (_lock)
        {
            return _idle.Count > left && (evenWaited || _waiting.Count == 0) && _idle.Oldest(idleBeforeUs) is { } slot ? slot.WorthThen + WorthOfUses(slot) : double.MaxValue;
        }
    }

    /// <summary>Takes out the sandbox that is idle for longest, to be ended; null when none is idle, or an activation waits.</summary>
    internal Slot? TakeUnwaited()
    {
        lock (_lock)
        {
            return _waiting.Count == 0 ? _idle.RemoveOldest() : null;
        }
    }

    /// <summary>Takes out the sandbox that is idle for longest, to be ended; null when none is idle any more.</summary>
    internal Slot? EvictOldest()
    {
        lock (_lock)
        {
            return _idle.RemoveOldest();
        }
    }

    /// <summary>Takes the sandbox out if it is idle; true when it was.</summary>
    internal bool TakeIfIdle(Slot slot)
    {
        lock (_lock)
        {
            return _idle.Remove(slot);
        }
    }

    /// <summary>Takes the sandbox out if it is idle and was seen to grow since its last run; true when it was.</summary>
    internal bool TakeIfGrown(Slot slot)
    {
        lock (_lock)
        {
            return slot.HasGrown && _idle.Remove(slot);
        }
    }

    /// <summary>
    /// Counts an idle sandbox by the bytes that it uses from now on; a sandbox that was taken meanwhile stays counted by its limit. True when it was
    /// seen to grow while it was idle.
    /// </summary>
    internal bool Measured(Slot slot, long bytes, long nowUs)
    {
        lock (_lock)
        {
            slot.MeasureAsked = false;
            return bytes > 0 && slot.State == SlotState.Idle && _idle.Measured(slot, bytes, nowUs);
        }
    }

    /// <summary>Asks the action to end one of its running sandboxes when the run there ends. False when all running sandboxes are asked for already.</summary>
    internal bool AskToYield()
    {
        lock (_lock)
        {
            if (_yields >= _rule.Running)
            {
                return false;
            }

            _yields++;
            return true;
        }
    }

    /// <summary>
    /// Closes the slots when the action has no sandbox and no activation, and was not used for the idle timeout or is retired. True when they
    /// are closed: the room forgets them.
    /// </summary>
    internal bool TryClose(long nowUs)
    {
        lock (_lock)
        {
            Debug.Assert(_yields >= 0 && _starting >= 0 && _initialising >= 0);
            _closed = Total == 0 && _waiting is { Count: 0, KeepsPlaces: false } && (_retired || nowUs - _lastSeenUs > _rules.IdleTimeoutUs);
            return _closed;
        }
    }

    private Arrival Enqueue(Waiting item, long nowUs)
    {
        var arrival = _waiting.Enqueue(item, nowUs);
        if (arrival != Arrival.Queued || _asked || !WantsMore(nowUs))
        {
            return arrival;
        }

        _asked = true;
        return Arrival.QueuedAsk;
    }

    private bool WantsMore(long nowUs) => _rule.WantsMore(_waiting.Count, _idle.Count, Coming, nowUs);

    private bool TryTakeIdle(long nowUs, [NotNullWhen(true)] out Slot? slot)
    {
        slot = _idle.TryTake();
        if (slot is null)
        {
            return false;
        }

        if (slot.Initialised)
        {
            BeginRun(slot, nowUs);
        }
        else
        {
            slot.State = SlotState.Initialising;
            slot.SinceUs = nowUs;
            _initialising++;
        }

        return true;
    }

    private void BeginRun(Slot slot, long nowUs)
    {
        Debug.Assert(slot is { Initialised: true, SlackBytes: 0 }, "A running sandbox has its code, and is counted by its limit.");
        slot.State = SlotState.Running;
        slot.SinceUs = nowUs;
        slot.Uses++;
        slot.WorthThen = _ledger.WorthOfLastEnded;
        slot.FirstIdleBytes = 0;
        slot.HasGrown = false;
        _rule.RunBegan(slot);
    }

    private double WorthOfUses(Slot slot)
    {
        var uses = slot.Uses > 1 || slot.Number % _rules.FirstUseCountsOf == 0 ? Math.Min(slot.Uses, _rules.MostUses) : 0;
        return (double)uses * _rule.StartUs * (1 << 20) / Math.Max(1 << 20, slot.ChargedBytes);
    }

    private void EndRun(Slot slot, long nowUs)
    {
        if (slot.State == SlotState.Initialising)
        {
            _initialising--;
            Debug.Assert(_initialising >= 0);
            return;
        }

        _rule.RunEnded(slot, nowUs);
    }
}
