using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Tests.Simulation;

public sealed class PoolSimulationTests
{
    private const long Second = 1_000_000;

    private static RoomRules Rules(long capacityMb = 64 * 1024, params StemCellRule[] cells) => new()
    {
        CapacityBytes = capacityMb << 20,
        ReserveBytes = (capacityMb << 20) / 16,
        StartsAtOnce = 4,
        Cores = 2,
        StemCells = cells,
    };

    /// <summary>Clients that each call again as soon as they are answered.</summary>
    private static void Loop(PoolSimulation simulation, PoolKey key, int clients, long untilUs, Func<long> durationUs, int memoryMb = 256)
    {
        for (var i = 0; i < clients; i++)
        {
            Call();
        }

        void Call() => simulation.Invoke(key, durationUs(), memoryMb, ended: _ =>
        {
            if (simulation.NowUs < untilUs)
            {
                simulation.At(simulation.NowUs + 10, Call);
            }
        });
    }

    [Fact]
    public void A_fast_action_with_sixty_four_callers_runs_in_one_or_two_sandboxes()
    {
        var simulation = new PoolSimulation(Rules(), seed: 1);
        var key = PoolSimulation.Key(1, 1);
        Loop(simulation, key, clients: 64, untilUs: Second, () => 50);
        simulation.Run(2 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(simulation.MostSandboxes, 1, 2);
    }

    [Fact]
    public void A_run_that_a_busy_machine_holds_up_for_a_moment_calls_for_no_other_sandbox()
    {
        var simulation = new PoolSimulation(Rules(), seed: 14);
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 256, untilUs: 5 * Second, () => simulation.Random.Next(500) == 0 ? 12_000 : 80);
        simulation.Run(20 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(simulation.MostSandboxes, 1, 2);
    }

    [Fact]
    public void A_long_queue_of_a_fast_action_on_a_machine_that_stalls_is_worked_off_in_a_few_sandboxes()
    {
        var simulation = new PoolSimulation(Rules(), seed: 16) { LateUs = _ => 30_000 };
        for (var i = 0; i < 9_000; i++)
        {
            simulation.Invoke(PoolSimulation.Key(1, 1), simulation.Random.Next(300) == 0 ? 90_000 : 80);
        }

        simulation.Run(60 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(simulation.MostSandboxes, 1, 4);
    }

    [Fact]
    public void Sandboxes_that_a_stall_of_the_machine_started_are_ended_again()
    {
        var simulation = new PoolSimulation(Rules() with { SurplusAfterUs = 200_000 }, seed: 18);
        var key = PoolSimulation.Key(1, 1);
        Loop(simulation, key, clients: 64, untilUs: 6 * Second, () => simulation.NowUs is > 500_000 and < 1_000_000 && simulation.Random.Next(40) == 0 ? 300_000 : 800);
        var left = 0;
        simulation.At(5_900_000, () => left = simulation.SandboxesOf(key));
        simulation.Run(20 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(simulation.MostSandboxes, 4, 64);
        Assert.InRange(left, 1, 2);
    }

    [Fact]
    public void A_fast_action_of_which_every_other_call_is_slow_gets_many_sandboxes()
    {
        var simulation = new PoolSimulation(Rules(), seed: 15);
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 64, untilUs: 10 * Second, () => simulation.Random.Next(2) == 0 ? 80 : Second);
        simulation.Run(20 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(simulation.MostSandboxes, 30, 64);
    }

    [Fact]
    public void A_slow_action_with_sixty_four_callers_gets_sixty_four_sandboxes()
    {
        var simulation = new PoolSimulation(Rules(), seed: 2);
        var key = PoolSimulation.Key(1, 1);
        Loop(simulation, key, clients: 64, untilUs: 10 * Second, () => Second);
        simulation.Run(20 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(simulation.MostSandboxes, 60, 64); // the last one waits a sixty-third of a second, less than a cold start
    }

    [Fact]
    public void A_slow_action_with_sixty_four_callers_gets_sixty_four_sandboxes_on_an_idle_machine()
    {
        var simulation = new PoolSimulation(Rules(), seed: 2) { CoreIdles = _ => true };
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 64, untilUs: 10 * Second, () => Second);
        simulation.Run(20 * Second);
        Assert.InRange(simulation.MostSandboxes, 60, 64);
    }

    [Fact]
    public void On_busy_cores_runs_that_get_longer_the_more_there_are_do_not_call_for_ever_more_sandboxes()
    {
        var simulation = new PoolSimulation(Rules(), seed: 13);
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 64, untilUs: 5 * Second, () => 2_500 * Math.Max(2, simulation.RunningNow.Count));
        simulation.Run(20 * Second);
        Assert.InRange(simulation.MostSandboxes, 2, 12);
    }

    [Fact]
    public void A_hundred_short_actions_that_wait_for_the_cores_of_each_other_keep_one_sandbox_each()
    {
        var simulation = new PoolSimulation(Rules(), seed: 21);
        var keys = Enumerable.Range(0, 100).Select(static number => PoolSimulation.Key(1, number)).ToList();
        keys.ForEach(key => Loop(simulation, key, clients: 1, untilUs: 0, () => 300));
        simulation.Arrive(10 * Second, () => keys.ForEach(key => Loop(
            simulation, key, clients: 3, untilUs: 20 * Second, () => (long)(-300 * Math.Log(1 - simulation.Random.NextDouble()) * Math.Max(1, simulation.RunningNow.Count)))));
        simulation.Run(40 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(simulation.Starts, 100, 110);
    }

    [Fact]
    public void Two_thousand_new_actions_at_once_all_run_in_a_room_for_eight_and_nearly_in_the_order_of_their_coming()
    {
        var simulation = new PoolSimulation(Rules(capacityMb: 2048), seed: 23) { UsesBytes = static slot => slot.LimitBytes };
        for (var i = 0; i < 2_000; i++)
        {
            var key = PoolSimulation.Key(1, i);
            simulation.Arrive(1 + (i * 20L), () => simulation.Invoke(key, 500));
        }

        simulation.Run(600 * Second);
        Assert.True(simulation.AllEnded);
        Assert.DoesNotContain(simulation.All, static activation => activation.Refused);
        Assert.InRange(simulation.MostSandboxes, 1, 8);
        var places = simulation.All.Select(static (activation, arrived) => (activation, arrived)).OrderBy(static pair => pair.activation.EndedUs)
            .Select(static (pair, ended) => Math.Abs(ended - pair.arrived));
        Assert.InRange(places.Max(), 0, 40);
    }

    [Fact]
    public void Beside_many_runs_that_sleep_a_slow_action_gets_its_sandboxes_no_later()
    {
        var simulation = new PoolSimulation(Rules(), seed: 22);
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 64, untilUs: 10 * Second, () => 3 * Second);
        var late = PoolSimulation.Key(1, 2);
        var sandboxes = 0;
        simulation.Arrive(5 * Second, () => Loop(simulation, late, clients: 16, untilUs: 10 * Second, () => Second));
        simulation.At(8 * Second, () => sandboxes = simulation.SandboxesOf(late));
        simulation.Run(40 * Second);
        Assert.True(simulation.AllEnded);
        Assert.InRange(sandboxes, 12, 16);
    }

    [Fact]
    public void A_slow_action_called_by_one_stays_in_one_sandbox()
    {
        var simulation = new PoolSimulation(Rules(), seed: 3);
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 1, untilUs: 10 * Second, () => Second);
        simulation.Run(20 * Second);
        Assert.Equal(1, simulation.MostSandboxes);
    }

    [Fact]
    public void Memory_bounds_the_sandboxes_of_a_slow_action()
    {
        var simulation = new PoolSimulation(Rules(capacityMb: 2048), seed: 4);
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 64, untilUs: 5 * Second, () => Second);
        simulation.Run(60 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal(8, simulation.MostSandboxes);
    }

    [Fact]
    public void The_action_s_own_bound_on_instances_holds()
    {
        var simulation = new PoolSimulation(Rules(), seed: 5);
        for (var i = 0; i < 20; i++)
        {
            simulation.Invoke(PoolSimulation.Key(1, 1), Second, maxInstances: 3);
        }

        simulation.Run(60 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal(3, simulation.MostSandboxes);
    }

    [Fact]
    public void A_first_call_takes_a_stem_cell_at_once_and_the_cell_is_replaced()
    {
        var simulation = new PoolSimulation(Rules(cells: new StemCellRule("nodejs", 2, 256L << 20)), seed: 6);
        SimulatedActivation? first = null;
        simulation.Arrive(2 * Second, () => first = simulation.Invoke(PoolSimulation.Key(1, 1), 50));
        simulation.Arrive(4 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 1), 50));
        simulation.Run(10 * Second);
        Assert.Equal(1, simulation.Specialised);
        Assert.Equal(3, simulation.Starts);
        Assert.True(first!.EndedUs - first.ArrivedUs <= simulation.InitUs + 50);
        Assert.Equal(2, simulation.Room.Count().StemCells);
    }

    [Fact]
    public void A_cell_is_replaced_only_when_the_call_that_took_it_has_had_its_time()
    {
        var rules = Rules(cells: new StemCellRule("nodejs", 1, 256L << 20));
        var simulation = new PoolSimulation(rules, seed: 6);
        var startsBefore = 0;
        var startsWithin = 0;
        var startsAfter = 0;
        simulation.Arrive(2 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 1), 50));
        simulation.Arrive((2 * Second) - 1, () => startsBefore = simulation.Starts);
        simulation.Arrive((2 * Second) + rules.RefillAfterUs - 1, () => startsWithin = simulation.Starts);
        simulation.Arrive((2 * Second) + (2 * rules.RefillAfterUs), () => startsAfter = simulation.Starts);
        simulation.Run(4 * Second);
        Assert.Equal((1, 1, 2), (startsBefore, startsWithin, startsAfter));
    }

    [Fact]
    public void A_stem_cell_that_serves_its_memory_only_is_left_alone_by_others_and_makes_room_for_them()
    {
        var simulation = new PoolSimulation(Rules(512, new StemCellRule("nodejs", 1, 256L << 20, ForItsMemoryOnly: true)), seed: 17);
        simulation.Arrive(1 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 1), 50, memoryMb: 128));
        simulation.Arrive(2 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 2), 50, memoryMb: 512));
        simulation.Arrive(5 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 3), 50, memoryMb: 256));
        simulation.Run(20 * Second);
        Assert.True(simulation.AllEnded);
        Assert.DoesNotContain(simulation.All, activation => activation.Refused);
        Assert.InRange(simulation.Specialised, 0, 1);
    }

    [Fact]
    public void A_queue_that_never_empties_while_a_core_idles_gets_one_more_sandbox()
    {
        var simulation = new PoolSimulation(Rules(), seed: 7) { CoreIdles = now => now < Second };
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 16, untilUs: Second, () => 1_000);
        simulation.Run(3 * Second);
        Assert.InRange(simulation.MostSandboxes, 2, 4);
    }

    [Fact]
    public void An_idle_sandbox_is_ended_after_its_time_and_the_action_is_forgotten()
    {
        var simulation = new PoolSimulation(Rules() with { IdleTimeoutUs = 10 * Second }, seed: 8) { UsesBytes = static slot => slot.LimitBytes };
        simulation.Invoke(PoolSimulation.Key(1, 1), 50);
        simulation.Arrive(40 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 2), 50));
        simulation.Run(60 * Second);
        Assert.Equal(2, simulation.Starts);
        Assert.Equal(256L << 20, simulation.Room.Ledger.Reserved);
    }

    [Fact]
    public void Idle_sandboxes_make_room_for_others_by_what_they_use()
    {
        // Four of them fill the room by their limits; measured they leave place for many more.
        var simulation = new PoolSimulation(Rules(capacityMb: 1024), seed: 9);
        for (var action = 0; action < 10; action++)
        {
            var key = PoolSimulation.Key(1, action);
            for (var round = 0; round < 3; round++)
            {
                simulation.Arrive((round * 20 * Second) + (action * 2 * Second) + 1, () => simulation.Invoke(key, 50));
            }
        }

        simulation.Run(120 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal(10, simulation.Starts);
    }

    [Fact]
    public void A_quiet_namespace_is_served_while_another_floods()
    {
        var simulation = new PoolSimulation(Rules(capacityMb: 1024), seed: 10);
        Loop(simulation, PoolSimulation.Key(1, 1), clients: 100, untilUs: 60 * Second, () => 300_000);
        List<SimulatedActivation> quiet = [];
        for (var i = 0; i < 10; i++)
        {
            simulation.Arrive((5 + (i * 4)) * Second, () => quiet.Add(simulation.Invoke(PoolSimulation.Key(2, 1), 50_000)));
        }

        simulation.Run(200 * Second);
        Assert.True(simulation.AllEnded);
        Assert.All(quiet, activation => Assert.InRange(activation.EndedUs!.Value - activation.ArrivedUs, 0, 3 * Second));
    }

    [Fact]
    public void Starts_that_always_fail_are_answered_after_bounded_tries()
    {
        var simulation = new PoolSimulation(Rules(), seed: 11) { StartFails = 1 };
        for (var i = 0; i < 5; i++)
        {
            simulation.Invoke(PoolSimulation.Key(1, 1), 50);
        }

        simulation.Run(10 * Second);
        Assert.True(simulation.AllEnded);
        Assert.All(simulation.All, activation => Assert.True(activation.Refused));
        Assert.InRange(simulation.Starts, 1, 8);
        Assert.Equal(0, simulation.Room.Ledger.Reserved);
    }

    [Fact]
    public void What_waited_too_long_is_answered_and_not_run()
    {
        var simulation = new PoolSimulation(Rules(capacityMb: 256) with { MaxWaitUs = 2 * Second, YieldAfterUs = 1000 * Second }, seed: 12);
        simulation.Invoke(PoolSimulation.Key(1, 1), 20 * Second);
        SimulatedActivation? late = null;
        simulation.Arrive(Second, () => late = simulation.Invoke(PoolSimulation.Key(1, 2), 50));
        simulation.Run(60 * Second);
        Assert.True(late!.Refused);
        Assert.InRange(late.EndedUs!.Value, 3 * Second, 4 * Second);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void No_schedule_breaks_the_rules_of_the_pool(int family)
    {
        for (var seed = family * 1000; seed < (family * 1000) + 400; seed++)
        {
            Replay(seed);
        }
    }

    private static void Replay(int seed)
    {
        var random = new Random(seed);
        var rules = Rules(random.Next(512, 8192), new StemCellRule("nodejs", random.Next(0, 3), 256L << 20)) with
        {
            IdleTimeoutUs = random.Next(1, 60) * Second,
            StartsAtOnce = random.Next(1, 8),
        };
        var simulation = new PoolSimulation(rules, seed)
        {
            StartFails = random.Next(4) == 0 ? 0.2 : 0,
            Dies = random.Next(3) == 0 ? 0.1 : 0,
            CoreIdles = _ => random.Next(10) == 0,
        };
        var spaces = random.Next(1, 5);
        var actions = random.Next(1, 8);
        var slow = random.Next(3);
        var calls = random.Next(20, 300);
        var span = random.Next(1, 20) * Second;
        for (var i = 0; i < calls; i++)
        {
            var key = PoolSimulation.Key(random.Next(spaces), random.Next(actions), revision: random.Next(20) == 0 ? 2 : 1);
            var memoryMb = 128 << (key.Action.Name[^1] % 3);
            var durationUs = slow switch
            {
                0 => 50L,
                1 => Second,
                _ => random.Next(10) == 0 ? 2 * Second : 200,
            };
            simulation.Arrive((long)(random.NextDouble() * span), () => simulation.Invoke(key, durationUs, memoryMb));
        }

        simulation.Run(3600 * Second);
        Assert.True(simulation.AllEnded, $"Seed {seed}: an activation was lost or starved.");
        var refused = simulation.All.Find(activation => activation.Refused);
        if (simulation.StartFails == 0 && refused is not null)
        {
            Assert.Fail(
                $"Seed {seed}: {refused.Key} was refused after {(refused.EndedUs - refused.ArrivedUs) / Second} s, " +
                $"among {calls} calls in {span / Second} s of slowness {slow}, in {rules.CapacityBytes >> 20} MB with {simulation.Starts} starts.");
        }
    }
}
