using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Tests.Simulation;

/// <summary>What the pool does when there are more actions than the room, the host or the machine has place for.</summary>
public sealed class FullRoomTests
{
    private const long Second = 1_000_000;
    private const long Megabyte = 1L << 20;

    private static RoomRules Rules(long capacityMb, params StemCellRule[] cells) => new()
    {
        CapacityBytes = capacityMb * Megabyte,
        ReserveBytes = capacityMb * Megabyte / 16,
        StartsAtOnce = 2,
        Cores = 2,
        StemCells = cells,

        // As where sandboxes cannot be made to stand still: what stands still does not grow.
        PauseGraceUs = 10_000 * Second,
    };

    /// <summary>So many clients call the actions in turn, each as soon as it is answered, until a number of calls was made.</summary>
    private static void InTurn(PoolSimulation simulation, int clients, int actions, int calls, long durationUs = 50, int space = 1)
    {
        var next = 0;
        for (var client = 0; client < clients; client++)
        {
            Call();
        }

        void Call()
        {
            if (next < calls)
            {
                simulation.Invoke(PoolSimulation.Key(space, next++ % actions), durationUs, memoryMb: 128, ended: _ => simulation.At(simulation.NowUs + 10, Call));
            }
        }
    }

    /// <summary>At thirty starts a second most sandboxes are in their first second: they count what others were seen to use from their first moment.</summary>
    [Theory]
    [InlineData(16)]
    [InlineData(64)]
    public void A_thousand_actions_called_in_turn_stay_where_what_they_use_fits(int clients)
    {
        var simulation = new PoolSimulation(Rules(12_000), seed: 31) { UsesBytes = static _ => 9 * Megabyte };
        InTurn(simulation, clients, actions: 1_000, calls: 10_000);
        simulation.Run(600 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal(1_000, simulation.Starts);
        Assert.Empty(simulation.Ended);
    }

    /// <summary>Busy ones count their limits, so that here nine of sixty-four may be busy at a time: what ends hands its room over at once, not at the next tick.</summary>
    [Fact]
    public void Where_idle_sandboxes_leave_little_room_their_calls_wait_for_each_other_and_end_none()
    {
        var simulation = new PoolSimulation(Rules(5_000), seed: 32) { UsesBytes = static _ => 9 * Megabyte };
        InTurn(simulation, clients: 2, actions: 400, calls: 400);
        simulation.Arrive(60 * Second, () => InTurn(simulation, clients: 64, actions: 400, calls: 20_000));
        simulation.Run(600 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal((400, 0), (simulation.Starts, simulation.Ended.Count));
        var late = simulation.All.Skip(400).Count(static activation => activation.EndedUs - activation.ArrivedUs > 5_000);
        Assert.InRange(late, 0, 150);
    }

    /// <summary>The cell that it becomes is idle and could grow, for which something is kept; not any more once it is taken.</summary>
    [Fact]
    public void An_action_as_large_as_the_whole_room_becomes_of_the_stem_cell_that_is_there()
    {
        var simulation = new PoolSimulation(Rules(256, new StemCellRule("nodejs", 2, 256 * Megabyte)), seed: 36) { UsesBytes = static _ => 8 * Megabyte };
        simulation.Arrive(10 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 1), 300_000, memoryMb: 256));
        simulation.Run(60 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal(1, simulation.Specialised);
    }

    [Theory]
    [InlineData(11, 8)]
    [InlineData(15, 4)]
    public void A_cycle_larger_than_the_room_finds_a_good_part_of_it_warm(int tenthsOfTheRoom, int leastTenthsWarm)
    {
        var simulation = new PoolSimulation(Rules(2_000), seed: 33) { UsesBytes = static _ => 9 * Megabyte };
        var actions = 190 * tenthsOfTheRoom / 10;
        InTurn(simulation, clients: 2, actions, calls: actions * 30);
        simulation.Run(3_600 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(1 - ((double)(simulation.Starts - actions) / (actions * 29)), leastTenthsWarm / 10.0, 1);
    }

    [Fact]
    public void An_idle_sandbox_that_grows_is_counted_and_is_the_first_that_goes()
    {
        var grow = false;
        var simulation = new PoolSimulation(Rules(2_200), seed: 34)
        {
            UsesBytes = slot => grow && slot.Number is > 20 and <= 30 ? 120 * Megabyte : 9 * Megabyte,
            IdleOnesGrow = true,
        };
        InTurn(simulation, clients: 2, actions: 100, calls: 200);
        long before = 0;
        simulation.Arrive(30 * Second, () =>
        {
            before = simulation.Room.Ledger.Reserved;
            grow = true;
        });
        simulation.Arrive(45 * Second, () => Assert.InRange(simulation.Room.Ledger.Reserved - before, 1_100 * Megabyte, 1_120 * Megabyte));
        for (var i = 0; i < 60; i++)
        {
            var number = 100 + i;
            simulation.Arrive((50 * Second) + (i * 100_000), () => simulation.Invoke(PoolSimulation.Key(1, number), 50, memoryMb: 128));
        }

        simulation.Run(100 * Second);
        Assert.True(simulation.AllEnded);
        Assert.NotEmpty(simulation.Ended);
        Assert.All(simulation.Ended, static slot => Assert.InRange(slot.Number, 21, 30));
    }

    [Fact]
    public void Idle_sandboxes_that_grow_beyond_the_room_end_without_anybody_asking_for_it()
    {
        var grow = false;
        var simulation = new PoolSimulation(Rules(1_000), seed: 35) { UsesBytes = _ => (grow ? 60 : 9) * Megabyte, IdleOnesGrow = true };
        InTurn(simulation, clients: 2, actions: 50, calls: 100);
        simulation.Arrive(30 * Second, () => grow = true);
        simulation.Arrive(40 * Second, () => { });
        simulation.Run(100 * Second);
        Assert.InRange(simulation.Room.Ledger.Reserved, 900 * Megabyte, 1_000 * Megabyte);
        Assert.InRange(simulation.Ended.Count, 33, 40);
    }

    [Fact]
    public void When_the_machine_is_short_of_memory_idle_sandboxes_end_within_two_looks_and_busy_ones_stay()
    {
        var simulation = new PoolSimulation(Rules(12_000, new StemCellRule("nodejs", 2, 256 * Megabyte)), seed: 36)
        {
            UsesBytes = static _ => 10 * Megabyte,
            MissingBytes = static now => now is > 100 * Second and < (100 * Second) + 250_000 ? 500 * Megabyte : 0,
        };
        InTurn(simulation, clients: 2, actions: 100, calls: 100);
        simulation.Arrive(99 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 5), 5 * Second, memoryMb: 128));
        var endedInTime = 0;
        simulation.Arrive((100 * Second) + 250_000, () => endedInTime = simulation.Ended.Count);
        simulation.Run(110 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(endedInTime, 50, 101);
        Assert.DoesNotContain(simulation.Ended, static slot => slot.Owner?.Key == PoolSimulation.Key(1, 5));
    }

    [Fact]
    public void While_the_machine_is_short_of_memory_no_stem_cell_starts_and_a_call_starts_its_sandbox_after_a_wait()
    {
        var simulation = new PoolSimulation(Rules(12_000, new StemCellRule("nodejs", 2, 256 * Megabyte)), seed: 37) { MissingBytes = static _ => 500 * Megabyte };
        SimulatedActivation? call = null;
        simulation.Arrive(5 * Second, () => call = simulation.Invoke(PoolSimulation.Key(1, 1), 50, memoryMb: 128));
        simulation.Run(20 * Second);
        Assert.InRange(call!.EndedUs!.Value - call.ArrivedUs, Second, 2 * Second);
        Assert.Equal(1, simulation.Starts - simulation.Ended.Count(static slot => slot.Owner is null));
    }

    /// <summary>The networks of a host run out at a thousand: one that idles goes, instead of a start that waits for a network and fails.</summary>
    [Fact]
    public void Where_the_host_holds_only_so_many_sandboxes_an_idle_one_goes_for_each_that_starts()
    {
        var simulation = new PoolSimulation(Rules(64_000, new StemCellRule("nodejs", 2, 256 * Megabyte)) with { MostSandboxes = 20 }, seed: 38);
        InTurn(simulation, clients: 30, actions: 60, calls: 600);
        simulation.Run(600 * Second);
        Assert.True(simulation.AllEnded);
        Assert.DoesNotContain(simulation.All, static activation => activation.Refused);
        Assert.Equal(20, simulation.MostSandboxes);
    }

    [Fact]
    public void Measuring_costs_the_same_however_many_idle_and_reaches_all_of_them()
    {
        var measured = new HashSet<Slot>();
        var simulation = new PoolSimulation(Rules(64_000) with { StartsAtOnce = 50 }, seed: 39)
        {
            UsesBytes = slot =>
            {
                measured.Add(slot);
                return 9 * Megabyte;
            },
        };
        InTurn(simulation, clients: 64, actions: 3_000, calls: 3_000);
        var before = 0;
        simulation.Arrive(100 * Second, () =>
        {
            before = simulation.Measurements;
            measured.Clear();
        });
        simulation.Arrive(140 * Second, () => Assert.InRange(simulation.Measurements - before, 3_000, 40 * 100));
        simulation.Run(150 * Second);
        Assert.Equal(3_000, measured.Count);
    }

    [Fact]
    public void A_tick_looks_at_no_action_that_only_idles()
    {
        var simulation = new PoolSimulation(Rules(64_000) with { StartsAtOnce = 50 }, seed: 40) { UsesBytes = static _ => 9 * Megabyte };
        InTurn(simulation, clients: 64, actions: 1_000, calls: 1_000);
        simulation.Arrive(60 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 7), 50, memoryMb: 128));
        var looked = -1;
        simulation.Arrive(61 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 8), Second, memoryMb: 128));
        simulation.Arrive(62 * Second, () =>
        {
            _ = simulation.Room.Ledger.Busy.Look();
            looked = simulation.Room.Ledger.Busy.Look().Count;
        });
        simulation.Run(70 * Second);
        Assert.Equal(1, looked);
    }

    [Theory]
    [InlineData(20, 4)]
    [InlineData(2, 50)]
    public void A_few_sandboxes_of_one_namespace_stay_beside_another_that_calls_more_actions_than_the_room_holds(int rounds, int everySeconds)
    {
        var simulation = new PoolSimulation(Rules(2_000), seed: 41) { UsesBytes = static _ => 9 * Megabyte };
        InTurn(simulation, clients: 2, actions: 400, calls: 4_000);
        for (var round = 0; round < rounds; round++)
        {
            for (var action = 0; action < 5; action++)
            {
                var number = action;
                simulation.Arrive(Second + (round * everySeconds * Second), () => simulation.Invoke(PoolSimulation.Key(2, number), 50, memoryMb: 128));
            }
        }

        simulation.Run(3_600 * Second);
        Assert.True(simulation.AllEnded);
        Assert.True(simulation.NowUs > 60 * Second, "The other namespace was done too soon to say anything.");
        Assert.DoesNotContain(simulation.Ended, static slot => slot.Owner!.Key.NamespaceUuid.Equals(PoolSimulation.Key(2, 0).NamespaceUuid, StringComparison.Ordinal));
    }

    /// <summary>Each has grown a little, so that it needs more to become busy than is free, and nothing idles but what itself is waited for.</summary>
    [Fact]
    public void Where_all_that_idles_is_waited_for_and_none_fits_busy_one_goes_so_that_another_runs()
    {
        var grow = false;
        var simulation = new PoolSimulation(Rules(300), seed: 42) { UsesBytes = _ => (grow ? 14 : 9) * Megabyte, IdleOnesGrow = true };
        simulation.Arrive(30 * Second, () => grow = true);
        for (var action = 0; action < 18; action++)
        {
            var key = PoolSimulation.Key(1, action);
            simulation.Arrive(1 + (action * Second), () => simulation.Invoke(key, 50, memoryMb: 128));
            simulation.Arrive(60 * Second, () => simulation.Invoke(key, 50, memoryMb: 128));
        }

        simulation.Run(400 * Second);
        Assert.True(simulation.AllEnded);
        Assert.All(simulation.All, static activation => Assert.InRange(activation.EndedUs!.Value - activation.ArrivedUs, 0, 5 * Second));
    }
}
