namespace Frusta.Invoker.Pool;

/// <summary>What became of an activation that arrived.</summary>
internal enum Arrival : byte
{
    /// <summary>A sandbox is taken for it: run it there.</summary>
    Run,

    Queued,

    /// <summary>Queued, and the room is to be asked for a sandbox.</summary>
    QueuedAsk,

    NamespaceFull,

    Full,

    /// <summary>These slots are being forgotten: look the key up again.</summary>
    Closed,
}

/// <summary>What an action needs of the room.</summary>
internal enum Need : byte
{
    Nothing,

    /// <summary>An idle sandbox of its own is to be counted by its limit again.</summary>
    Wake,

    /// <summary>One more sandbox.</summary>
    Start,
}

/// <summary>
/// The sandboxes and the queue of one action for one namespace. Event in, answer out; no clock and no I/O. Its lock is a
/// leaf: whoever holds it takes no other, and a warm take and return need only this one.
/// </summary>
internal sealed class ActionSlots(PoolKey key, NamespaceShare share, RoomRules rules, RoomLedger ledger, string family, long limitBytes, int maxInstances)
{
    private readonly Lock _lock = new();
    private readonly Queue<Waiting> _waiting = new();
    private readonly List<Slot> _idle = [];
    private readonly StartRule _rule = new(rules, ledger, maxInstances);
    private int _initialising;
    private int _starting;
    private int _yields;
    private int _failedStarts;
    private bool _asked;
    private bool _closed;
    private long _lastSeenUs;

    public PoolKey Key { get; } = key;

    public NamespaceShare Share { get; } = share;

    public string Family { get; } = family;

    public long LimitBytes { get; } = limitBytes;

    /// <summary>Microseconds that a cold start of this family costs, without loading the code; set by the room.</summary>
    public long ColdStartUs
    {
        get => _rule.ColdStartUs;
        set => _rule.ColdStartUs = value;
    }

    /// <summary>Since when the room has had nothing for this action; 0 when it is not short. Guarded by the room's lock.</summary>
    public long BlockedSinceUs { get; set; }

    /// <summary>Place among the <see cref="WantingActions"/>; -1 when it is none of them. Guarded by the room's lock.</summary>
    public int WantingAt { get; set; } = -1;

    /// <summary>Takes a warm sandbox, or queues.</summary>
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
            if (_waiting.Count == 0 && TryTakeIdle(nowUs, out slot))
            {
                return Arrival.Run;
            }

            return Enqueue(item, nowUs);
        }
    }

    /// <summary>The code is loaded and the run begins: from here on its age counts.</summary>
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
    /// The activation in the slot has ended. Gives the next one that waits, or null: then the slot is idle, or
    /// (<paramref name="stop"/>) to be handed to <see cref="Room.Discard"/>. With <paramref name="ask"/> the room is to be asked.
    /// </summary>
    public Waiting? Return(Slot slot, bool keep, long nowUs, out bool stop, out bool ask)
    {
        lock (_lock)
        {
            EndRun(slot, nowUs);
            _lastSeenUs = nowUs;
            stop = !keep || !slot.Initialised || _yields > 0;
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
                return Dequeue(nowUs);
            }

            BecomeIdle(slot, nowUs);
            return null;
        }
    }

    /// <summary>How many are known, whatever they do; stopping ones excluded.</summary>
    public int Sandboxes
    {
        get
        {
            lock (_lock)
            {
                return Total;
            }
        }
    }

    /// <summary>Waiting activations.</summary>
    public int Queued
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count;
            }
        }
    }

    private int Coming => _starting + _initialising;

    private int Total => _idle.Count + _rule.Running + Coming;

    // What follows is called by the room, under its lock.

    /// <summary>What the action needs now. It stays asked for as long as it needs something.</summary>
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

            wakeBytes = LimitBytes - _idle[^1].ChargedBytes;
            return Need.Wake;
        }
    }

    /// <summary>Runs what waits in idle sandboxes for which the ledger has room.</summary>
    internal void Wake(long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            while (_waiting.Count > 0 && TryTakeIdle(nowUs, out var slot))
            {
                actions.Add(new PoolAction(PoolActionKind.Run, slot, Dequeue(nowUs)));
            }
        }
    }

    internal void Starting(Slot slot)
    {
        lock (_lock)
        {
            slot.Owner = this;
            slot.State = SlotState.Starting;
            _starting++;
            _rule.StartBegan();
        }
    }

    /// <summary>A sandbox is up: it takes the first that waits, else it is kept.</summary>
    internal void Started(Slot slot, long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _starting--;
            _failedStarts = 0;
            _rule.NumberChanged(nowUs);
            if (_waiting.Count == 0)
            {
                BecomeIdle(slot, nowUs);
                return;
            }

            slot.State = SlotState.Initialising;
            slot.SinceUs = nowUs;
            _initialising++;
            actions.Add(new PoolAction(PoolActionKind.Run, slot, Dequeue(nowUs)));
        }
    }

    /// <summary>After too many failures in a row all that wait are answered, unless another sandbox serves them.</summary>
    internal void StartFailed(long nowUs, List<PoolAction> actions)
    {
        lock (_lock)
        {
            _starting--;
            _failedStarts++;
            if (_failedStarts < rules.StartTries || Total > 0)
            {
                return;
            }

            _failedStarts = 0;
            while (_waiting.Count > 0)
            {
                actions.Add(new PoolAction(PoolActionKind.RefuseNoSandbox, null, Dequeue(nowUs)));
            }
        }
    }

    /// <summary>The rule of the timer; true when the room is to be asked.</summary>
    internal bool Tick(long nowUs, bool coreIdles, List<PoolAction> actions)
    {
        lock (_lock)
        {
            while (_waiting.Count > 0 && nowUs - _waiting.Peek().ReceivedUs > rules.MaxWaitUs)
            {
                actions.Add(new PoolAction(PoolActionKind.RefuseTooOld, null, Dequeue(nowUs)));
            }

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

    /// <summary>Takes the sandboxes that were idle for too long out, and names those to be measured.</summary>
    internal void Expire(long nowUs, List<Slot> expired, List<PoolAction> actions)
    {
        lock (_lock)
        {
            while (_idle.Count > 0 && nowUs - _idle[0].SinceUs > rules.IdleTimeoutUs)
            {
                expired.Add(RemoveIdle(0));
            }

            foreach (var slot in _idle)
            {
                if (slot.ChargedBytes == slot.LimitBytes && !slot.MeasureAsked && nowUs - slot.SinceUs > rules.MeasureAfterUs)
                {
                    slot.MeasureAsked = true;
                    actions.Add(new PoolAction(PoolActionKind.Measure, slot, null));
                }
            }
        }
    }

    /// <summary>The sandbox idle for longest: its time, or <see cref="long.MaxValue"/> when none is idle.</summary>
    internal long OldestIdleUs()
    {
        lock (_lock)
        {
            return _idle.Count > 0 && _waiting.Count == 0 ? _idle[0].SinceUs : long.MaxValue;
        }
    }

    /// <summary>Takes the sandbox idle for longest out, to be ended; null when none is idle by now.</summary>
    internal Slot? EvictOldest()
    {
        lock (_lock)
        {
            return _idle.Count > 0 ? RemoveIdle(0) : null;
        }
    }

    /// <summary>Takes the sandbox out when it is idle.</summary>
    internal bool TakeIfIdle(Slot slot)
    {
        lock (_lock)
        {
            var at = _idle.IndexOf(slot);
            if (at >= 0)
            {
                RemoveIdle(at);
            }

            return at >= 0;
        }
    }

    /// <summary>Counts an idle sandbox by what it uses from now on; one that was taken meanwhile keeps its limit.</summary>
    internal void Measured(Slot slot, long bytes)
    {
        lock (_lock)
        {
            slot.MeasureAsked = false;
            if (bytes > 0)
            {
                slot.MeasuredBytes = bytes;
                Cool(slot);
            }
        }
    }

    /// <summary>Counts all idle sandboxes by what they use, where it is known. Gives the bytes that this freed.</summary>
    internal long CoolIdle()
    {
        lock (_lock)
        {
            long freed = 0;
            foreach (var slot in _idle)
            {
                freed += Cool(slot);
            }

            return freed;
        }
    }

    /// <summary>Asks for one running sandbox at its next end. False when all that run are asked for already.</summary>
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

    /// <summary>Bytes of the sandboxes that hold an activation or are starting.</summary>
    internal long BusyBytes
    {
        get
        {
            lock (_lock)
            {
                return (_rule.Running + Coming) * LimitBytes;
            }
        }
    }

    internal int Running
    {
        get
        {
            lock (_lock)
            {
                return _rule.Running;
            }
        }
    }

    /// <summary>Runs under way of an action whose runs wait for nothing but a core.</summary>
    internal int ShortRuns
    {
        get
        {
            lock (_lock)
            {
                return _rule.ShortRuns;
            }
        }
    }

    internal int Idle
    {
        get
        {
            lock (_lock)
            {
                return _idle.Count;
            }
        }
    }

    /// <summary>When the first that waits was received; <see cref="long.MaxValue"/> when nothing waits.</summary>
    internal long HeadReceivedUs
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count > 0 ? _waiting.Peek().ReceivedUs : long.MaxValue;
            }
        }
    }

    /// <summary>True when nothing serves this action and nothing will unless it gets room.</summary>
    internal bool HasNone
    {
        get
        {
            lock (_lock)
            {
                return Total == 0;
            }
        }
    }

    /// <summary>Closes the slots when nothing was seen of the action for the idle timeout. They are forgotten then.</summary>
    internal bool TryClose(long nowUs)
    {
        lock (_lock)
        {
            _closed = Total == 0 && _waiting.Count == 0 && nowUs - _lastSeenUs > rules.IdleTimeoutUs;
            return _closed;
        }
    }

    private Arrival Enqueue(Waiting item, long nowUs)
    {
        if (_waiting.Count >= rules.MaxQueuedPerAction || !Share.TryQueue(item.SizeBytes, rules))
        {
            return Arrival.NamespaceFull;
        }

        if (!ledger.TryQueue(item.SizeBytes))
        {
            Share.Dequeue(item.SizeBytes);
            return Arrival.Full;
        }

        if (_waiting.Count == 0)
        {
            _rule.QueueEmptyUntil(nowUs);
        }

        _waiting.Enqueue(item);
        if (_asked || !WantsMore(nowUs))
        {
            return Arrival.Queued;
        }

        _asked = true;
        return Arrival.QueuedAsk;
    }

    private Waiting Dequeue(long nowUs)
    {
        var item = _waiting.Dequeue();
        Share.Dequeue(item.SizeBytes);
        ledger.Dequeue(item.SizeBytes);
        if (_waiting.Count == 0)
        {
            _rule.QueueEmptyUntil(nowUs);
        }

        return item;
    }

    private bool WantsMore(long nowUs) => _rule.WantsMore(_waiting.Count, _idle.Count, Coming, nowUs);

    private bool TryTakeIdle(long nowUs, out Slot? slot)
    {
        slot = null;
        if (_idle.Count == 0)
        {
            return false;
        }

        // The last one used: its pages are warm, and the first ones grow old enough to be ended.
        var last = _idle[^1];
        if (last.ChargedBytes < last.LimitBytes)
        {
            if (!ledger.TryReserve(last.LimitBytes - last.ChargedBytes))
            {
                return false;
            }

            last.ChargedBytes = last.LimitBytes;
        }

        _idle.RemoveAt(_idle.Count - 1);
        slot = last;
        if (last.Initialised)
        {
            BeginRun(last, nowUs);
        }
        else
        {
            last.State = SlotState.Initialising;
            last.SinceUs = nowUs;
            _initialising++;
        }

        return true;
    }

    private void BeginRun(Slot slot, long nowUs)
    {
        slot.State = SlotState.Running;
        slot.SinceUs = nowUs;
        _rule.RunBegan(slot);
    }

    private void EndRun(Slot slot, long nowUs)
    {
        if (slot.State == SlotState.Initialising)
        {
            _initialising--;
            return;
        }

        _rule.RunEnded(slot, nowUs);
    }

    private void BecomeIdle(Slot slot, long nowUs)
    {
        slot.State = SlotState.Idle;
        slot.SinceUs = nowUs;
        _idle.Add(slot);
        if (ledger.Tight)
        {
            Cool(slot);
        }
    }

    private long Cool(Slot slot)
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

    private Slot RemoveIdle(int at)
    {
        var slot = _idle[at];
        _idle.RemoveAt(at);
        slot.State = SlotState.Stopping;
        return slot;
    }
}
