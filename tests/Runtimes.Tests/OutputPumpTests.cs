using System.Diagnostics;
using Frusta.Runtimes.Frames;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Frusta.Sockets;

namespace Frusta.Runtimes.Tests;

public sealed class OutputPumpTests
{
    /// <summary>The pump falls asleep whenever it may, so that activations begin at every point of its way to sleep.</summary>
    [Fact]
    public void An_activation_that_begins_while_the_pump_falls_asleep_is_seen()
    {
        using var nothing = File.OpenHandle("/dev/null");
        using var pump = new OutputPump(1, idleTicksBeforeSleep: 0);
        using var loops = new EventLoops(1);
        using var other = new OtherSide();
        using var channel = new FramesClient(new SandboxChannel(other.Requests, other.Answers), WordsOfEnd.None, maxResultBytes: 1, loops);
        using var collector = new OutputCollector(nothing, nothing, channel, pump, TimeProvider.System);
        var clock = Stopwatch.StartNew();
        for (var round = 0; round < 100_000 && clock.ElapsedMilliseconds < 4000; round++)
        {
            collector.Begin(limitBytes: 0);
            var began = collector.BeganAt;
            Assert.True(SpinWait.SpinUntil(() => pump.Tick > began, TimeSpan.FromMinutes(1)), $"The pump slept through activation {round}.");
            collector.Collect(failed: false);
            Thread.SpinWait(round % 200);
        }
    }

    /// <summary>Else each run of microseconds beside it would be one that lasts, whose pipes are watched and whose lock is taken.</summary>
    [Fact]
    public async Task Ticks_go_by_the_clock_while_an_action_floods_its_output()
    {
        const int TickMs = 100;
        const int Bytes = 64 << 20;
        using var nothing = File.OpenHandle("/dev/null");
        using var pump = new OutputPump(TickMs);
        using var loops = new EventLoops(1);
        using var other = new OtherSide();
        using var channel = new FramesClient(new SandboxChannel(other.Requests, other.Answers), WordsOfEnd.None, maxResultBytes: 1, loops);
        using var flood = new OtherSide();
        using var collector = new OutputCollector(flood.Answers, nothing, channel, pump, TimeProvider.System);
        collector.Begin(limitBytes: 0);
        var chunk = new byte[64 * 1024];
        chunk.AsSpan().Fill((byte)'\n');
        flood.Write(chunk);
        flood.Write(chunk); // there is room for it when the first was read along
        var (clock, before) = (Stopwatch.StartNew(), pump.Tick);

        await Task.Run(() =>
        {
            for (var written = 0; written < Bytes; written += chunk.Length)
            {
                flood.Write(chunk);
            }
        }, TestContext.Current.CancellationToken);

        var (ticks, most) = (pump.Tick - before, (clock.ElapsedMilliseconds / TickMs) + 1);
        TestContext.Current.TestOutputHelper!.WriteLine($"{ticks} ticks in {clock.ElapsedMilliseconds} ms");
        collector.Collect(failed: false).Json?.Dispose();
        Assert.InRange(ticks, 0, most);
    }
}
