using System.Diagnostics;
using Frusta.Runtimes.Frames;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Frusta.Sockets;
using Frusta.Sockets.Tests;

namespace Frusta.Runtimes.Tests;

public sealed class OutputPumpTests
{
    /// <summary>The pump falls asleep whenever it may, so that activations begin at every point of its way to sleep.</summary>
    [Fact]
    public void An_activation_that_begins_while_the_pump_falls_asleep_is_seen()
    {
        using var nothing = File.OpenHandle("/dev/null");
        using var pump = new OutputPump(new RuntimesOptions { OutputTickMs = 1 }, idleTicksBeforeSleep: 0);
        using var loops = new EventLoops(1);
        using var other = new OtherSide();
        using var channel = new FramesClient(new SandboxChannel(other.Requests, other.Answers), RuntimeFamily.NodeJs, maxResultBytes: 1, loops);
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
}
