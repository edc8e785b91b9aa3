using System.Globalization;
using Frusta.Sandboxes;
using Frusta.Sandboxes.Bubblewrap;
using Frusta.Sandboxes.Plain;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Invoker.Tests.Run;

/// <summary>Real functions that go on after their runs: paused with each freezer that this host has, or ended where there is none.</summary>
public sealed class PausedRunTests : IAsyncLifetime
{
    // Nothing in a paused sandbox runs at all; the rest is what the kernel counts late.
    private static readonly TimeSpan AllowedASecond = TimeSpan.FromMilliseconds(10);

    private readonly RunFolder _folder = new();
    private LiveInvoker _invoker = null!;

    public static TheoryData<string> Freezers() => [SandboxesOptions.FreezerV1, SandboxesOptions.FreezerV2];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_invoker is not null)
        {
            await _invoker.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task Twelve_that_burn_the_cores_after_their_runs_use_next_to_nothing_a_few_seconds_later(string freezer)
    {
        const int Burning = 12;
        await StartIsolatedAsync(freezer);
        for (var action = 0; action < Burning; action++)
        {
            await InvokeAsync("function main() { setTimeout(() => { for (;;); }, 5); return {}; }", name: $"burning-{action.ToString(CultureInfo.InvariantCulture)}");
        }

        await EventuallyQuietAsync(freezer);
        Assert.Equal(Burning, _invoker.Idle);
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task Timers_of_Node_go_on_in_the_next_run_and_its_result_is_right(string freezer)
    {
        const string Code = """
            let ticks = 0, runs = 0;
            function spin() { const end = Date.now() + 5; while (Date.now() < end); ticks++; }
            function main(a) {
              if (runs++ === 0) setInterval(spin, 8);
              const before = ticks;
              return new Promise(done => setTimeout(() => done({ runs, name: a.name, ticked: ticks > before }), 100));
            }
            """;
        await StartIsolatedAsync(freezer);
        Assert.Equal("""{"runs":1,"name":"a","ticked":true}""", await InvokeAsync(Code, """{"name":"a"}"""));
        await EventuallyQuietAsync(freezer);
        Assert.Equal("""{"runs":2,"name":"b","ticked":true}""", await InvokeAsync(Code, """{"name":"b"}"""));
        Assert.Equal(1, _invoker.Idle);
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task Threads_and_detached_children_of_Python_go_on_in_the_next_run_and_its_result_is_right(string freezer)
    {
        const string Code = """
            import subprocess, sys, threading, time
            turns, child, runs = [0], None, 0
            def spin():
                while True: turns[0] += 1
            def main(args):
                global child, runs
                runs += 1
                if runs == 1:
                    threading.Thread(target=spin, daemon=True).start()
                    child = subprocess.Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True)
                before = turns[0]
                time.sleep(0.1)
                return {'runs': runs, 'turned': turns[0] > before, 'child': child.poll() is None}
            """;
        await StartIsolatedAsync(freezer);
        Assert.Equal("""{"runs":1,"turned":true,"child":true}""", await InvokeAsync(Code, kind: "python:3.11"));
        await EventuallyQuietAsync(freezer);
        Assert.Equal("""{"runs":2,"turned":true,"child":true}""", await InvokeAsync(Code, kind: "python:3.11"));
        Assert.Equal(1, _invoker.Idle);
    }

    [Fact]
    public async Task Where_processes_are_not_isolated_one_that_burns_a_core_after_its_run_is_ended_and_a_quiet_one_stays()
    {
        _invoker = await LiveInvoker.StartAsync(new ProcessSandboxMaker(_folder.Options, TimeProvider.System, NullLogger<ProcessSandboxMaker>.Instance));
        await InvokeAsync("let n = 0; function main() { return { n: ++n }; }", name: "quiet");
        await InvokeAsync("let n = 0; function main() { setTimeout(() => { for (;;); }, 5); return { n: ++n }; }", name: "burning");
        Assert.Equal(2, _invoker.Idle);
        await Eventually.TrueAsync(() => _invoker.Idle == 1);
        Assert.Equal("""{"n":2}""", await InvokeAsync("", name: "quiet"));
    }

    private async Task StartIsolatedAsync(string freezer)
    {
        Assert.SkipUnless(Environment.UserName is "root", "root is needed for cgroups.");
        var options = _folder.Options;
        (options.Freezer, options.Vacant, options.Network.Mode) = (freezer, 0, SandboxNetworkOptions.None);
        var (maker, reason) = await BubblewrapSandboxMaker.TryCreateAsync(options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        Assert.SkipWhen(maker is null, reason);
        _invoker = await LiveInvoker.StartAsync(maker);
        Assert.SkipUnless(maker.Report.Limits.Contains($"idle ones stand still (cgroup {freezer})", StringComparer.Ordinal), $"This host has no freezer of cgroup {freezer}.");
    }

    private async Task<string> InvokeAsync(string code, string arguments = "{}", string kind = "nodejs:20", string name = "real") =>
        LiveInvoker.Result(await _invoker.InvokeAsync(code, arguments, kind, name));

    /// <summary>Waits until all sandboxes together use less than 10 ms of the cores in a second.</summary>
    private Task EventuallyQuietAsync(string freezer) => Eventually.TrueAsync(async () =>
    {
        var (before, began) = (CpuTime(freezer), TimeProvider.System.GetTimestamp());
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, TestContext.Current.CancellationToken);
        return (CpuTime(freezer) - before) / TimeProvider.System.GetElapsedTime(began).TotalSeconds < AllowedASecond;
    });

    /// <summary>What this instance's sandboxes have used of the cores, as the kernel adds it up.</summary>
    private TimeSpan CpuTime(string freezer)
    {
        var instance = Path.GetFileName(Directory.GetDirectories(_folder.Options.RunFolder).Single());
        if (freezer is SandboxesOptions.FreezerV1)
        {
            return TimeSpan.FromMicroseconds(Number(File.ReadAllText($"/sys/fs/cgroup/cpuacct/frusta/{instance}/cpuacct.usage")) / 1000);
        }

        var top = Directory.Exists("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
        return TimeSpan.FromMicroseconds(Number(File.ReadAllLines($"{top}/frusta/{instance}/cpu.stat")[0]["usage_usec ".Length..]));

        static long Number(string text) => long.Parse(text, NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
    }
}
