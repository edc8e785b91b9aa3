using System.Runtime.CompilerServices;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Tests.Simulation;

namespace Frusta.Invoker.Tests.Pool;

/// <summary>The pool, one event at a time.</summary>
public sealed class RoomTests
{
    private const long Megabyte = 1L << 20;
    private const long LimitBytes = 256 * Megabyte;

    private readonly Room _room = new(new RoomRules { CapacityBytes = 64L << 30, StartsAtOnce = 8, Cores = 2, FirstUseCountsOf = 1000 });
    private long _nowUs = 1_000_000;

    // What is being ended counts as memory that will be free.
    private long _stoppingBytes;

    [Fact]
    public void A_sandbox_that_comes_up_after_the_pool_has_closed_is_ended()
    {
        var slots = Add(1);
        var slot = AskForOne(slots);
        Close();

        Assert.Equal([new PoolAction(PoolActionKind.Stop, slot, null)], Started(slot));
    }

    [Fact]
    public void A_sandbox_whose_run_ends_after_the_pool_has_closed_is_ended()
    {
        var slots = Add(1);
        var slot = Serve(slots);
        Close();

        Assert.Null(slots.Return(slot, keep: true, _nowUs, out var stop, out _));
        Assert.True(stop);
    }

    [Fact]
    public void A_sandbox_of_an_action_that_is_met_after_the_pool_has_closed_is_ended()
    {
        Close();
        var slots = Add(1);
        var slot = Serve(slots);

        Assert.Null(slots.Return(slot, keep: true, _nowUs, out var stop, out _));
        Assert.True(stop);
    }

    [Fact]
    public void News_of_an_action_after_the_pool_has_closed_keep_no_sandbox()
    {
        var slots = Add(1);
        var slot = Serve(slots);
        Close();
        Decide((room, actions) => room.Retire(slots, retired: false, _nowUs, actions));

        Assert.Null(slots.Return(slot, keep: true, _nowUs, out var stop, out _));
        Assert.True(stop);
    }

    [Fact]
    public void A_sandbox_that_grew_while_it_was_idle_goes_before_one_of_less_worth()
    {
        var grown = IdleAfterRuns(Add(1), runs: 3);
        _ = IdleAfterRuns(Add(2), runs: 1);
        Measured(grown, 40);
        Measured(grown, 80);

        Assert.Equal([new PoolAction(PoolActionKind.Stop, grown, null)], EndOne());
    }

    [Fact]
    public void A_sandbox_that_grew_and_has_run_since_goes_by_its_worth()
    {
        var slots = Add(1);
        var grown = IdleAfterRuns(slots, runs: 3);
        var other = IdleAfterRuns(Add(2), runs: 1);
        Measured(grown, 40);
        Measured(grown, 80);
        Run(slots, grown);
        Measured(grown, 80);

        Assert.Equal([new PoolAction(PoolActionKind.Stop, other, null)], EndOne());
    }

    [Fact]
    public void A_sandbox_that_grew_again_after_a_run_goes_first_again()
    {
        var slots = Add(1);
        var grown = IdleAfterRuns(slots, runs: 3);
        _ = IdleAfterRuns(Add(2), runs: 1);
        Measured(grown, 40);
        Measured(grown, 80);
        Run(slots, grown);
        Measured(grown, 80);
        Measured(grown, 160);

        Assert.Equal([new PoolAction(PoolActionKind.Stop, grown, null)], EndOne());
        Assert.Single(EndOne());
        Assert.Empty(EndOne());
    }

    [Fact]
    public void A_sandbox_that_grew_is_forgotten_when_it_has_ended()
    {
        var ended = GrowAndEnd();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();

        Assert.False(ended.TryGetTarget(out _));
        GC.KeepAlive(_room);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private WeakReference<Slot> GrowAndEnd()
    {
        var slots = Add(1);
        var slot = IdleAfterRuns(slots, runs: 1);
        Measured(slot, 40);
        Measured(slot, 80);
        Assert.Equal([new PoolAction(PoolActionKind.Stop, slot, null)], Decide((room, actions) => room.Retire(slots, retired: true, _nowUs, actions)));
        Decide((room, actions) => room.Stopped(slot, _nowUs, actions));
        return new WeakReference<Slot>(slot);
    }

    private ActionSlots Add(int action) => _room.Add(PoolSimulation.Key(1, action), "nodejs", LimitBytes, int.MaxValue);

    private void Close() => Decide((room, actions) => room.Close(_nowUs, actions));

    private List<PoolAction> EndOne() => Decide((room, actions) => room.Look(_nowUs, missingBytes: _stoppingBytes + 1, measure: false, actions));

    private void Measured(Slot slot, long megabytes) => Assert.Empty(Decide((room, actions) => room.Measured(slot, megabytes * Megabyte, _nowUs, actions)));

    /// <summary>A sandbox that is being started for the action, which has a call that waits for it.</summary>
    private Slot AskForOne(ActionSlots slots)
    {
        Assert.Equal(Arrival.QueuedAsk, slots.Arrive(new SimulatedActivation(slots.Key, 50), _nowUs, out _));
        return Assert.Single(Decide((room, actions) => room.Ask(slots, _nowUs, actions))).Slot!;
    }

    private List<PoolAction> Started(Slot slot) => Decide((room, actions) => room.Started(slot, 50_000, _nowUs, actions));

    /// <summary>A new sandbox of the action with a run in it.</summary>
    private Slot Serve(ActionSlots slots)
    {
        var slot = AskForOne(slots);
        Assert.Equal(PoolActionKind.Run, Assert.Single(Started(slot)).Kind);
        slots.RunBegan(slot, _nowUs);
        return slot;
    }

    private Slot IdleAfterRuns(ActionSlots slots, int runs)
    {
        var slot = Serve(slots);
        slots.Return(slot, keep: true, _nowUs, out _, out _);
        for (var run = 1; run < runs; run++)
        {
            Run(slots, slot);
        }

        return slot;
    }

    private void Run(ActionSlots slots, Slot slot)
    {
        Assert.Equal(Arrival.Run, slots.Arrive(new SimulatedActivation(slots.Key, 50), _nowUs, out var taken));
        Assert.Same(slot, taken);
        slots.Return(slot, keep: true, _nowUs, out _, out _);
    }

    private List<PoolAction> Decide(Action<Room, List<PoolAction>> tell)
    {
        _nowUs++;
        var actions = new List<PoolAction>();
        tell(_room, actions);
        _stoppingBytes += actions.Where(static action => action.Kind == PoolActionKind.Stop).Sum(static action => action.Slot!.ChargedBytes);
        return actions;
    }
}
