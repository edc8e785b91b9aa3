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
    private long _order;

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

    public Func<long, bool> CoreIdles { get; init; } = _ => false;

    public Func<long, long> LateUs { get; init; } = _ => 0;

    public static PoolKey Key(int space, int action, int revision = 1) =>
        new($"space-{space.ToString(CultureInfo.InvariantCulture)}", new FullyQualifiedName("ns", null, $"action-{action.ToString(CultureInfo.InvariantCulture)}"), $"{revision.ToString(CultureInfo.InvariantCulture)}-x");

    public void At(long us, Action happen) => _events.Enqueue(happen, (us, _order++));

    public SimulatedActivation Invoke(PoolKey key, long durationUs, int memoryMb = 256, Action<SimulatedActivation>? ended = null, int maxInstances = int.MaxValue)
    {
        var activation = new SimulatedActivation(key, durationUs) { ArrivedUs = NowUs };
        All.Add(activation);
        if (ended is not null)
        {
            _ended[activation] = ended;
        }

        Arrival arrival;
        Slot? slot;
        ActionSlots? slots;
        do
        {
            if (!_slots.TryGetValue(key, out slots))
            {
                _slots[key] = slots = Room.Add(key, "nodejs", (long)memoryMb << 20, maxInstances);
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
            case Arrival.QueuedAsk:
                Room.Ask(slots, NowUs, actions);
                break;
            case Arrival.Full or Arrival.NamespaceFull:
                activation.Refused = true;
                End(activation);
                break;
        }

        Execute(actions);
        return activation;
    }

    private readonly Dictionary<SimulatedActivation, Action<SimulatedActivation>> _ended = [];

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

    public bool AllEnded => All.TrueForAll(activation => activation.EndedUs is not null);

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
                    At(NowUs + 2_000, () => EndStop(slot!));
                    break;
                case PoolActionKind.Measure:
                    Measurements++;
                    Room.Measured(slot!, UsesBytes(slot!), NowUs, actions);
                    break;
                case PoolActionKind.Run:
                    Begin(slot!, (SimulatedActivation)item!);
                    break;
                default:
                    ((SimulatedActivation)item!).Refused = true;
                    End((SimulatedActivation)item);
                    break;
            }
        }
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
            Room.Started(slot, tookUs, NowUs, actions);
        }

        Execute(actions);
    }

    private void EndStop(Slot slot)
    {
        var actions = new List<PoolAction>();
        Assert.True(_up.Remove(slot), "A sandbox was ended twice.");
        Room.Stopped(slot, NowUs, actions);
        Execute(actions);
    }

    private void Begin(Slot slot, SimulatedActivation activation)
    {
        Assert.True(_running.TryAdd(slot, activation), "Two activations in one sandbox.");
        Assert.Contains(slot, _up);
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
