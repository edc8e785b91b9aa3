using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Tests.Simulation;

/// <summary>Idle sandboxes that stand still, and those of actions that are gone.</summary>
public sealed class PauseSimulationTests
{
    private const long Second = 1_000_000;

    // Less than the second between two sweeps, and more than the end of a sandbox takes.
    private const long AtOnce = 20_000;

    private const int LookedAtActions = 240;

    private static readonly PoolKey Key = PoolSimulation.Key(1, 1);

    private static RoomRules Rules() => new() { CapacityBytes = 64L << 30, StartsAtOnce = 8, Cores = 2 };

    [Fact]
    public void An_idle_sandbox_stands_still_after_the_grace_and_a_call_wakes_it()
    {
        var simulation = new PoolSimulation(Rules(), seed: 31);
        var (within, after, woken) = (-1, -1, -1);
        simulation.Invoke(Key, 50);
        simulation.At(9 * Second, () => within = simulation.Paused);
        simulation.At(12 * Second, () => after = simulation.Paused);
        simulation.Arrive(15 * Second, () => simulation.Invoke(Key, 50, ended: _ => woken = simulation.Paused));
        simulation.Run(20 * Second);
        Assert.Equal((0, 1, 0), (within, after, woken));
        Assert.Equal((1, 1), (simulation.Starts, simulation.Resumes));
    }

    [Fact]
    public void A_call_within_the_grace_finds_nothing_to_resume()
    {
        var simulation = new PoolSimulation(Rules(), seed: 32);
        for (var call = 0; call < 50; call++)
        {
            simulation.Arrive(1 + (call * 9 * Second), () => simulation.Invoke(Key, 50));
        }

        simulation.Run(600 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal((1, 0), (simulation.Starts, simulation.Resumes));
    }

    [Fact]
    public void One_that_uses_the_cores_while_idle_stands_still_before_the_others_do()
    {
        var burning = PoolSimulation.Key(1, 2);
        var simulation = new PoolSimulation(Rules(), seed: 33) { BurnsUs = key => key == burning ? Second / 2 : Second / 100 };
        var paused = -1;
        simulation.Invoke(Key, 50);
        simulation.Invoke(burning, 50);
        simulation.At(4 * Second, () => paused = simulation.Paused);
        simulation.Arrive(5 * Second, () => simulation.Invoke(burning, 50));
        simulation.Run(6 * Second);
        Assert.Equal((1, 1), (paused, simulation.Resumes));
    }

    [Fact]
    public void Where_nothing_can_be_paused_one_that_uses_the_cores_while_idle_is_ended()
    {
        var burning = PoolSimulation.Key(1, 2);
        var simulation = new PoolSimulation(Rules(), seed: 34) { CanPause = false, BurnsUs = key => key == burning ? Second / 2 : Second / 100 };
        var (up, upLater) = (-1, -1);
        simulation.Invoke(Key, 50);
        simulation.Invoke(burning, 50);
        simulation.At(4 * Second, () => up = simulation.Up);
        simulation.At(60 * Second, () => upLater = simulation.Up);
        simulation.Arrive(61 * Second, () => simulation.Invoke(burning, 50));
        simulation.Run(62 * Second);
        Assert.Equal((1, 1, 3), (up, upLater, simulation.Starts));
        Assert.Equal((0, 0), (simulation.Paused, simulation.Resumes));
    }

    [Fact]
    public void What_cannot_be_paused_or_resumed_is_ended_and_the_call_runs_in_another_sandbox()
    {
        var simulation = new PoolSimulation(Rules(), seed: 35) { PauseFails = 0.3, ResumeFails = 0.3 };
        for (var call = 0; call < 60; call++)
        {
            simulation.Arrive(1 + (call * 15 * Second), () => simulation.Invoke(Key, 50));
        }

        simulation.Run(3600 * Second);
        Assert.True(simulation.AllEnded);
        Assert.DoesNotContain(simulation.All, static activation => activation.Refused);
        Assert.InRange(simulation.Starts, 10, 50);
    }

    [Theory]
    [InlineData(0, LookedAtActions)]
    [InlineData(0, 1)]
    [InlineData(LookedAtActions - 1, 1)]
    public void The_number_of_looks_a_second_is_bounded_and_whoever_burns_is_found_all_the_same(int first, int count)
    {
        const int LooksPerSweep = 50;
        var burning = Enumerable.Range(first, count).Select(static action => PoolSimulation.Key(1, action)).ToHashSet();
        var simulation = new PoolSimulation(Rules() with { LooksPerSweep = LooksPerSweep, PauseGraceUs = 1000 * Second }, seed: 36) { BurnsUs = key => burning.Contains(key) ? Second : 0 };
        for (var action = 0; action < LookedAtActions; action++)
        {
            simulation.Invoke(PoolSimulation.Key(1, action), 50);
        }

        var (looks, most, paused) = (0, 0, -1);
        for (var second = 0L; second < 60; second++)
        {
            simulation.At(second * Second, () => (looks, most) = (simulation.Looks, Math.Max(most, simulation.Looks - looks)));
        }

        simulation.At(59 * Second, () => paused = simulation.Paused);
        simulation.Arrive(61 * Second, () => simulation.Invoke(Key, 50));
        simulation.Run(62 * Second);
        Assert.Equal(count, paused);
        Assert.InRange(most, 1, LooksPerSweep);
    }

    [Fact]
    public void When_an_action_is_gone_its_idle_sandboxes_end_at_once_and_a_busy_one_after_what_waits_for_it()
    {
        var simulation = new PoolSimulation(Rules(), seed: 37);
        var (before, idleLater, busyLater) = (-1, -1, -1);
        var idle = PoolSimulation.Key(1, 2);
        simulation.Invoke(idle, 50);
        simulation.Arrive(2 * Second, () =>
        {
            for (var call = 0; call < 4; call++)
            {
                simulation.Invoke(Key, 3 * Second, maxInstances: 1, ended: _ => simulation.At(simulation.NowUs + AtOnce, () => busyLater = simulation.Up));
            }
        });
        simulation.At((3 * Second) + (Second / 2), () =>
        {
            before = simulation.Up;
            simulation.Retire(Key);
            simulation.Retire(idle);
            simulation.At(simulation.NowUs + AtOnce, () => idleLater = simulation.Up);
        });
        simulation.Arrive(16 * Second, () => simulation.Invoke(PoolSimulation.Key(1, 3), 50));
        simulation.Run(17 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal((2, 1, 0), (before, idleLater, busyLater));
        Assert.Equal(3, simulation.Starts);
    }

    [Fact]
    public void A_call_of_an_action_that_is_gone_still_runs_and_leaves_no_sandbox()
    {
        var simulation = new PoolSimulation(Rules(), seed: 38);
        simulation.Retire(Key);
        simulation.Invoke(Key, 50);
        var up = -1;
        simulation.At(Second, () => up = simulation.Up);
        simulation.Arrive(2 * Second, () => simulation.Invoke(Key, 50));
        simulation.Run(3 * Second);
        Assert.True(simulation.AllEnded);
        Assert.Equal(0, up);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void No_schedule_gives_an_activation_to_a_sandbox_that_stands_still(int family)
    {
        for (var seed = family * 1000; seed < (family * 1000) + 300; seed++)
        {
            Replay(seed);
        }
    }

    private static void Replay(int seed)
    {
        var random = new Random(seed);
        var simulation = new PoolSimulation(
            Rules() with { CapacityBytes = random.NextInt64(1, 64) << 30, PauseGraceUs = random.Next(0, 3) * Second, IdleTimeoutUs = random.Next(5, 60) * Second }, seed)
        {
            CanPause = random.Next(4) != 0,
            PauseFails = random.Next(3) == 0 ? 0.1 : 0,
            ResumeFails = random.Next(3) == 0 ? 0.1 : 0,
            Dies = random.Next(3) == 0 ? 0.1 : 0,
            BurnsUs = random.Next(2) == 0 ? static _ => 0 : static key => key.Action.Name[^1] % 2 == 0 ? Second : 0,
        };
        for (var call = 0; call < 200; call++)
        {
            var key = PoolSimulation.Key(1, random.Next(4), revision: random.Next(10) == 0 ? 2 : 1);
            var durationUs = random.Next(5) == 0 ? 2 * Second : 200;
            simulation.Arrive((long)(random.NextDouble() * 60 * Second), () => simulation.Invoke(key, durationUs));
            if (random.Next(40) == 0)
            {
                simulation.At((long)(random.NextDouble() * 60 * Second), () => simulation.Retire(key));
            }
        }

        simulation.Run(3600 * Second);
        Assert.True(simulation.AllEnded, $"Seed {seed}: an activation was lost or starved.");
        Assert.DoesNotContain(simulation.All, static activation => activation.Refused);
    }
}
