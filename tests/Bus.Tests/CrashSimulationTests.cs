using Frusta.Contracts.Names;

namespace Frusta.Bus.Tests;

public sealed class CrashSimulationTests
{
    [Theory]
    [InlineData(1, 0, 1)]
    [InlineData(2, 0, 1)]
    [InlineData(3, 0, 1)]
    [InlineData(4, 0, 1)]
    [InlineData(5, 100_000, 5)] // the log is crowded, and what is old in it is written again
    [InlineData(6, 100_000, 5)]
    [InlineData(7, 100_000, 5)]
    public async Task No_message_is_lost_or_run_more_often_than_it_may_wherever_the_process_dies(int seed, int padding, int rarer)
    {
        var random = new Random(seed);
        using var fixture = new BusFixture();
        fixture.Options.MaxPendingBytes = 3 * 512 * 1024;
        fixture.Options.NamespaceSharePercent = 100;
        fixture.Options.MaxLogBytes = 4 * 1024 * 1024;
        var world = new World(fixture, random, padding, rarer);
        await world.RestartAsync();
        for (var step = 0; step < 200; step++)
        {
            await world.StepAsync();
        }

        world.Calm = true;
        await world.RestartAsync();
        world.FinishAll();

        Assert.All(world.Promised, id => Assert.True(fixture.Records.All.ContainsKey(id), $"{id} was promised and has no record"));
        Assert.All(world.Starts, start => Assert.InRange(start.Value.Logged, 0, 1 + start.Value.Retries));
        Assert.All(world.Starts.Where(start => WasInterrupted(start.Key)), start => Assert.Equal(1 + start.Value.Retries, start.Value.Logged));
        Assert.Contains(world.Starts, start => start.Value.Logged > 1);
        Assert.Equal(0, fixture.Records.Refused);
        Assert.True(fixture.Bus.Snapshot().IsBalanced);
        Assert.Equal(0, fixture.Bus.Snapshot().Pending);

        bool WasInterrupted(ActivationId id) => fixture.Records.All.TryGetValue(id, out var record) && !record.Contains("""{"ok":true}""", StringComparison.Ordinal);
    }

    /// <summary>The end of the process, thrown where it happens.</summary>
    private sealed class CrashException : Exception;

    /// <summary>Clients, an invoker and a process that dies at random places, all in one thread.</summary>
    private sealed class World(BusFixture fixture, Random random, int padding, int rarer)
    {
        private const int Oldest = 5;

        private readonly List<IDelivery> _running = [];
        private bool _isSpared;

        internal bool Calm { get; set; }

        internal HashSet<ActivationId> Promised { get; } = [];

        /// <summary>How often each was said to start, and how often it may start again.</summary>
        internal Dictionary<ActivationId, (int Logged, int Retries)> Starts { get; } = [];

        internal async Task StepAsync()
        {
            try
            {
                if (fixture.Bus.Snapshot().PendingBytes > fixture.Options.MaxPendingBytes / 2)
                {
                    FinishAllButOldest();
                }

                switch (random.Next(8))
                {
                    case 0 or 1:
                        await SendAsync();
                        break;
                    case 2:
                        await BlockAsync();
                        break;
                    case 3:
                        await FireAsync();
                        break;
                    case 4 or 5:
                        StartOne();
                        break;
                    default:
                        FinishOne();
                        break;
                }

                MaybeCrash(20);
            }
            catch (CrashException)
            {
                await RestartAsync();
            }
        }

        internal async Task RestartAsync()
        {
            // A recovery may die too, but not for ever: with many left to settle it would never get through.
            for (var deaths = 0; ; deaths++)
            {
                try
                {
                    _running.Clear();
                    _isSpared = deaths == 3;
                    fixture.Records.Appending = () => MaybeCrash(15);
                    fixture.Records.Appended = () => MaybeCrash(15);
                    await fixture.RestartAsync(() => MaybeCrash(15));
                    _isSpared = false;
                    return;
                }
                catch (CrashException)
                {
                    // The recovery died too: once more.
                }
            }
        }

        internal void FinishAll()
        {
            while (!fixture.Intake.Deliveries.IsEmpty)
            {
                StartOne();
            }

            while (_running.Count > 0)
            {
                FinishOne();
            }
        }

        private OutgoingActivation Activation(bool blocking = false)
        {
            var retries = random.Next(3);
            var activation = BusFixture.Activation(blocking: blocking, retries: retries, padding: padding);
            Starts[activation.Message.Id] = (0, retries);
            return activation;
        }

        private void FinishAllButOldest()
        {
            while (!fixture.Intake.Deliveries.IsEmpty)
            {
                StartOne();
            }

            while (_running.Count > Oldest)
            {
                FinishOne(Oldest);
            }
        }

        private async Task SendAsync()
        {
            var activation = Activation();
            Assert.Equal(SendOutcome.Sent, await fixture.Bus.SendAsync(activation, acceptFirst: true, CancellationToken.None));
            Promised.Add(activation.Message.Id);
        }

        private async Task BlockAsync()
        {
            var activation = Activation(blocking: true);
            var id = activation.Message.Id;
            await fixture.Bus.SendAsync(activation, acceptFirst: false, CancellationToken.None);
            for (var i = random.Next(4); i > 0; i--)
            {
                StartOne();
                FinishOne();
            }

            Assert.Equal(SendOutcome.Sent, await fixture.Bus.AcceptSentAsync(id, CancellationToken.None));
            Promised.Add(id);
        }

        private async Task FireAsync()
        {
            var trigger = BusFixture.Finish(ActivationId.New(TimeProvider.System));
            var activations = Enumerable.Range(0, random.Next(4)).Select(_ => Activation()).ToList();
            var ids = activations.Select(static activation => activation.Message.Id).Append(trigger.Id).ToList();
            Assert.Equal(SendOutcome.Sent, await fixture.Bus.FireAsync(trigger, activations, CancellationToken.None));
            Promised.UnionWith(ids);
        }

        private void StartOne()
        {
            if (fixture.Intake.Deliveries.TryDequeue(out var delivery))
            {
                delivery.TryStart();
                var (logged, retries) = Starts[delivery.Message.Id];
                Starts[delivery.Message.Id] = (logged + 1, retries);
                MaybeCrash(30);
                _running.Add(delivery);
            }
        }

        private void FinishOne(int from = 0)
        {
            if (_running.Count > from)
            {
                var index = random.Next(from, _running.Count);
                var delivery = _running[index];
                _running.RemoveAt(index);
                delivery.Finished(BusFixture.Finish(delivery.Message.Id));
            }
        }

        private void MaybeCrash(int oneIn)
        {
            if (!Calm && !_isSpared && random.Next(oneIn * rarer) == 0)
            {
                throw new CrashException();
            }
        }
    }
}
