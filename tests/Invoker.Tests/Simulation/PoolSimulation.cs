using System.Globalization;
using Frusta.Contracts.Names;
using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Tests.Simulation;

/// <summary>An activation of the simulation.</summary>
internal sealed class SimulatedActivation(PoolKey key, long durationUs) : Waiting
{
    public PoolKey Key { get; } = key;

    public long DurationUs { get; } = durationUs;

    public long ArrivedUs { get; set; }

    public long? EndedUs { get; set; }

    public bool Refused { get; set; }

    public override int SizeBytes => 600;
}

/// <summary>Drives the pool on simulated time from a seed, carries its actions out, and checks after each event what must always hold.</summary>
internal sealed class PoolSimulation(RoomRules rules, int seed)
{
    private readonly PriorityQueue<Action, (long At, long Order)> _events = new();
    private readonly Dictionary<PoolKey, ActionSlots> _slots = [];
    private readonly HashSet<Slot> _up = [];
    private readonly Dictionary<Slot, SimulatedActivation> _running = [];
    private readonly Dictionary<Slot, PoolKey> _servedKey = [];
    private readonly HashSet<Slot> _paused = [];
    private readonly HashSet<PoolKey> _gone = [];
    private readonly HashSet<Slot> _stopping = [];
    private long _order;
    private int _open;

    public Random Random { get; } = new(seed);

    public Room Room { get; } = new(rules);

    public long NowUs { get; private set; } = 1;

    public List<SimulatedActivation> All { get; } = [];

    public int Starts { get; private set; }

    public int Specialised { get; private set; }

    public int MostSandboxes { get; private set; }

    public long ColdStartUs { get; init; } = 50_000;

    public long InitUs { get; init; } = 5_000;

    public double StartFails { get; init; }

    public double Dies { get; init; }

    /// <summary>Bytes that an idle sandbox uses when it is measured.</summary>
    public Func<Slot, long> UsesBytes { get; init; } = _ => 40L << 20;

    /// <summary>Bytes that the machine should have free and has not.</summary>
    public Func<long, long> MissingBytes { get; init; } = _ => 0;

    /// <summary>Measurements that the pool has asked for.</summary>
    public int Measurements { get; private set; }

    /// <summary>Sandboxes that were ended, in order.</summary>
    public List<Slot> Ended { get; } = [];

    /// <summary>Whether the pool's sum may exceed the room for a moment, because idle sandboxes grow.</summary>
    public bool IdleOnesGrow { get; init; }

    /// <summary>Whether sandboxes can be paused.</summary>
    public bool CanPause { get; init; } = true;

    public double PauseFails { get; init; }

    public double ResumeFails { get; init; }

    /// <summary>What an idle sandbox of the action uses of the cores, in microseconds a second.</summary>
    public Func<PoolKey, long> BurnsUs { get; init; } = _ => 0;

    /// <summary>Sandboxes that stand still now.</summary>
    public int Paused => _paused.Count;

    /// <summary>Sandboxes that are up.</summary>
    public int Up => _up.Count;

    public int Looks { get; private set; }

    public int Resumes { get; private set; }

    public Func<long, bool> CoreIdles { get; init; } = _ => false;

    public Func<long, long> LateUs { get; init; } = _ => 0;

    public static PoolKey Key(int space, int action, int revision = 1) =>
        new($"space-{space.ToString(CultureInfo.InvariantCulture)}", new FullyQualifiedName("ns", null, $"action-{action.ToString(CultureInfo.InvariantCulture)}"), $"{revision.ToString(CultureInfo.InvariantCulture)}-x");

    public void At(long us, Action happen) => _events.Enqueue(happen, (us, _order++));

    public SimulatedActivation Invoke(PoolKey key, long durationUs, int memoryMb = 256, Action<SimulatedActivation>? ended = null, int maxInstances = int.MaxValue)
    {
        var activation = new SimulatedActivation(key, durationUs) { ArrivedUs = NowUs };
        All.Add(activation);
        _open++;
        if (ended is not null)
        {
            _ended[activation] = ended;
        }

        Arrive(activation, memoryMb, maxInstances);
        return activation;
    }

    private void Arrive(SimulatedActivation activation, int memoryMb = 256, int maxInstances = int.MaxValue)
    {
        var key = activation.Key;
        Arrival arrival;
        Slot? slot;
        ActionSlots? slots;
        do
        {
            if (!_slots.TryGetValue(key, out slots))
            {
                _slots[key] = slots = Room.Add(key, "nodejs", (long)memoryMb << 20, maxInstances);
                slots.IsRetired = _gone.Contains(key);
            }

            arrival = slots.Arrive(activation, NowUs, out slot);
        }
        while (arrival == Arrival.Closed);

        var actions = new List<PoolAction>();
        switch (arrival)
        {
            case Arrival.Run:
                actions.Add(new PoolAction(PoolActionKind.Run, slot, activation));
                break;
            case Arrival.Resume:
                actions.Add(new PoolAction(PoolActionKind.Resume, slot, activation));
                break;
            case Arrival.QueuedAsk:
                Room.Ask(slots, NowUs, actions);
                break;
            case Arrival.Full or Arrival.NamespaceFull:
                activation.Refused = true;
                End(activation);
                break;
        }

        Execute(actions);
    }

    private readonly Dictionary<SimulatedActivation, Action<SimulatedActivation>> _ended = [];

    /// <summary>The action is replaced or deleted: its sandboxes end.</summary>
    public void Retire(PoolKey key)
    {
        _gone.Add(key);
        if (_slots.TryGetValue(key, out var slots))
        {
            var actions = new List<PoolAction>();
            Room.Retire(slots, retired: true, NowUs, actions);
            Execute(actions);
        }
    }

    /// <summary>Runs until nothing is left to happen, or the time is over.</summary>
    public void Run(long untilUs)
    {
        ScheduleTick();
        ScheduleSweep();
        ScheduleLook();
        while (_events.TryDequeue(out var happen, out var when) && when.At <= untilUs)
        {
            NowUs = Math.Max(NowUs, when.At);
            happen();
            Check();
            if (AllEnded && _arrivalsLeft == 0)
            {
                return;
            }
        }
    }

    private int _arrivalsLeft;

    /// <summary>An arrival that the run waits for.</summary>
    public void Arrive(long us, Action invoke)
    {
        _arrivalsLeft++;
        At(us, () =>
        {
            _arrivalsLeft--;
            invoke();
        });
    }

    public bool AllEnded => _open == 0;

    public int SandboxesOf(PoolKey key) => _slots[key].Count().Sandboxes;

    public IReadOnlyDictionary<Slot, SimulatedActivation> RunningNow => _running;

    private void ScheduleTick() => At(NowUs + 10_000, () =>
    {
        if (Room.Ledger.Queued > 0 || Room.RefillHeldBack)
        {
            var actions = new List<PoolAction>();
            Room.Tick(NowUs, LateUs(NowUs), CoreIdles(NowUs), actions);
            Execute(actions);
        }

        ScheduleTick();
    });

    private void ScheduleSweep() => At(NowUs + 1_000_000, () =>
    {
        var actions = new List<PoolAction>();
        var forgotten = new List<PoolKey>();
        Room.Sweep(NowUs, actions, forgotten);
        Execute(actions);
        forgotten.ForEach(key => _slots.Remove(key));
        ScheduleSweep();
    });

    private void ScheduleLook() => At(NowUs + 100_000, () =>
    {
        var actions = new List<PoolAction>();
        Room.Look(NowUs, MissingBytes(NowUs), measure: true, actions);
        Execute(actions);
        ScheduleLook();
    });

    private void Execute(List<PoolAction> actions)
    {
        for (var i = 0; i < actions.Count; i++)
        {
            var (kind, slot, item) = actions[i];
            switch (kind)
            {
                case PoolActionKind.Start:
                    Starts++;
                    var tookUs = (long)(ColdStartUs * (0.5 + Random.NextDouble()));
                    At(NowUs + tookUs, () => EndStart(slot!, tookUs));
                    break;
                case PoolActionKind.Specialise:
                    Specialised++;
                    Room.Started(slot!, 0, NowUs, actions);
                    break;
                case PoolActionKind.Stop:
                    Assert.False(_running.ContainsKey(slot!), "A sandbox was ended while it ran.");
                    Ended.Add(slot!);
                    _stopping.Add(slot!);
                    At(NowUs + 2_000, () => EndStop(slot!));
                    break;
                case PoolActionKind.Measure:
                    Measurements++;
                    Room.Measured(slot!, UsesBytes(slot!), NowUs, actions);
                    break;
                case PoolActionKind.Look:
                    Looks++;
                    At(NowUs + Random.Next(500, 30_000), () => Look(slot!));
                    break;
                case PoolActionKind.Pause:
                    At(NowUs + Random.Next(50, 30_000), () => Pause(slot!));
                    break;
                case PoolActionKind.Run:
                    Begin(slot!, (SimulatedActivation)item!);
                    break;
                case PoolActionKind.Resume:
                    Resumes++;
                    Assert.True(_resuming.TryAdd(slot!, (SimulatedActivation)item!), "A sandbox was resumed for two.");
                    At(NowUs + Random.Next(50, 10_000), () => Resume(slot!));
                    break;
                default:
                    ((SimulatedActivation)item!).Refused = true;
                    End((SimulatedActivation)item);
                    break;
            }
        }
    }

    private readonly Dictionary<Slot, SimulatedActivation> _resuming = [];

    private void Look(Slot slot)
    {
        var actions = new List<PoolAction>();
        Room.Looked(slot, BurnsUs(slot.Owner!.Key) * NowUs / 1_000_000, NowUs, actions);
        Execute(actions);
    }

    /// <summary>As whoever drives it: only what the pool still wants, and whoever was given it meanwhile waits until this has ended.</summary>
    private void Pause(Slot slot)
    {
        var actions = new List<PoolAction>();
        var fails = Random.NextDouble() < PauseFails;
        if (!fails && !_stopping.Contains(slot) && slot.Pause.State != PauseState.Awake)
        {
            _paused.Add(slot);
        }

        Room.Paused(slot, !fails, NowUs, actions);
        Execute(actions);
    }

    private void Resume(Slot slot)
    {
        _resuming.Remove(slot, out var activation);
        if (Random.NextDouble() >= ResumeFails)
        {
            _paused.Remove(slot);
            Begin(slot, activation!);
            return;
        }

        // It is dead then, and the activation comes again.
        var actions = new List<PoolAction>();
        var next = slot.Owner!.Return(slot, keep: false, NowUs, out _, out var ask);
        Assert.Null(next);
        Room.Discard(slot, ask, NowUs, actions);
        Execute(actions);
        Arrive(activation!);
    }

    private void EndStart(Slot slot, long tookUs)
    {
        var actions = new List<PoolAction>();
        if (Random.NextDouble() < StartFails)
        {
            Room.StartFailed(slot, wasCell: false, NowUs, actions);
        }
        else
        {
            _up.Add(slot);
            slot.Pause.IsPossible = CanPause;
            Room.Started(slot, tookUs, NowUs, actions);
        }

        Execute(actions);
    }

    private void EndStop(Slot slot)
    {
        var actions = new List<PoolAction>();
        Assert.True(_up.Remove(slot), "A sandbox was ended twice.");
        _paused.Remove(slot);
        Room.Stopped(slot, NowUs, actions);
        Execute(actions);
    }

    private void Begin(Slot slot, SimulatedActivation activation)
    {
        Assert.True(_running.TryAdd(slot, activation), "Two activations in one sandbox.");
        Assert.Contains(slot, _up);
        Assert.False(_paused.Contains(slot), "An activation was given to a sandbox that stands still.");
        Assert.Equal(activation.Key, slot.Owner!.Key);
        Assert.True(_servedKey.TryAdd(slot, activation.Key) || _servedKey[slot] == activation.Key, "A sandbox went from one action to another.");
        Assert.True(slot.ChargedBytes == slot.LimitBytes, "A busy sandbox counts its limit.");
        if (slot.Initialised)
        {
            At(NowUs + activation.DurationUs, () => EndRun(slot, activation));
            return;
        }

        At(NowUs + InitUs, () =>
        {
            slot.Owner.RunBegan(slot, NowUs);
            At(NowUs + activation.DurationUs, () => EndRun(slot, activation));
        });
    }

    private void EndRun(Slot slot, SimulatedActivation activation)
    {
        _running.Remove(slot);
        var actions = new List<PoolAction>();
        var next = slot.Owner!.Return(slot, Random.NextDouble() >= Dies, NowUs, out var stop, out var ask);
        if (next is not null)
        {
            Begin(slot, (SimulatedActivation)next);
        }

        if (stop)
        {
            Room.Discard(slot, ask, NowUs, actions);
        }
        else if (ask)
        {
            Room.Freed(NowUs, actions);
        }

        End(activation);
        Execute(actions);
    }

    private void End(SimulatedActivation activation)
    {
        Assert.Null(activation.EndedUs);
        activation.EndedUs = NowUs;
        _open--;
        if (_ended.Remove(activation, out var ended))
        {
            ended(activation);
        }
    }

    private void Check()
    {
        Assert.InRange(Room.Ledger.Reserved, 0, IdleOnesGrow ? long.MaxValue : rules.CapacityBytes);
        Assert.InRange(Room.Ledger.Queued, 0, rules.MaxQueued);
        MostSandboxes = Math.Max(MostSandboxes, _up.Count);
        Assert.InRange(_up.Count, 0, rules.MostSandboxes);
    }
}
