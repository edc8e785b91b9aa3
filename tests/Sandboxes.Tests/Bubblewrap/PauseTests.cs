using System.Globalization;
using Frusta.Sandboxes.Bubblewrap;
using Frusta.Sandboxes.Makers;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

public sealed class PauseTests : IAsyncLifetime
{
    // What a core gives in the time of a look, and more than what a sandbox that only waits uses in it.
    private static readonly TimeSpan Burnt = TimeSpan.FromMilliseconds(50);

    private readonly RunFolder _folder = new();
    private BubblewrapSandboxMaker? _maker;

    /// <summary>The freezers, each alone; a host without one of them skips.</summary>
    public static TheoryData<string> Freezers() => [SandboxesOptions.FreezerV1, SandboxesOptions.FreezerV2];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_maker is not null)
        {
            await _maker.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task Threads_and_detached_children_use_no_core_while_paused_and_go_on_where_they_stood(string freezer)
    {
        var sandbox = await StartAsync(freezer);
        await sandbox.AskAsync("exec('def spin():\\n while True: globals().update(turns=globals().get(\"turns\", 0) + 1)\\nimport threading; threading.Thread(target=spin, daemon=True).start()')");
        await sandbox.AskAsync("__import__('subprocess').Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True).pid");
        await sandbox.AskAsync("__import__('subprocess').Popen(['/bin/sh', '-c', '(while :; do :; done) & exit'], start_new_session=True).wait()");
        var unpaused = sandbox.MeasureCpuTime();
        await Eventually.TrueAsync(() => sandbox.MeasureCpuTime() - unpaused > Burnt);

        sandbox.Pause();
        sandbox.Pause();
        await EventuallyStandsStillAsync(sandbox);
        var before = sandbox.MeasureCpuTime();
        await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System, TestContext.Current.CancellationToken);
        var paused = (sandbox.MeasureCpuTime() - before)!.Value;

        sandbox.Resume();
        sandbox.Resume();
        Assert.InRange(paused, TimeSpan.Zero, TimeSpan.FromMilliseconds(1)); // what was counted late
        Assert.Equal("42", await sandbox.AskAsync("6 * 7"));
        var turns = long.Parse(await sandbox.AskAsync("turns"), CultureInfo.InvariantCulture);
        await Eventually.TrueAsync(async () => long.Parse(await sandbox.AskAsync("turns"), CultureInfo.InvariantCulture) > turns);
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task A_thousand_tasks_stand_still_and_go_on(string freezer)
    {
        const string Tasks = "901";
        var sandbox = await StartAsync(freezer);
        await sandbox.AskAsync("exec('import threading, time\\nthreading.stack_size(65536)\\nfor i in range(900): threading.Thread(target=lambda: [time.sleep(0.01) for _ in iter(int, 1)], daemon=True).start()')");
        Assert.Equal(Tasks, await sandbox.AskAsync("threading.active_count()"));
        for (var round = 0; round < 3; round++)
        {
            sandbox.Pause();
            await EventuallyStandsStillAsync(sandbox);
            sandbox.Resume();
            Assert.Equal(Tasks, await sandbox.AskAsync("threading.active_count()"));
        }
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task A_paused_one_can_be_measured_and_is_ended_with_all_that_is_in_it(string freezer)
    {
        var sandbox = await StartAsync(freezer);
        await sandbox.AskAsync("__import__('subprocess').Popen(['/bin/sleep', '1000'], start_new_session=True).pid");
        sandbox.Pause();
        Assert.InRange(sandbox.MeasureMemory(), 1L << 20, 128L << 20);
        await sandbox.StopAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(137, (await sandbox.Exited).ExitCode);
        Assert.Empty(GroupsOf(sandbox));

        // A pause that was under way when the stop came finds nothing to do.
        sandbox.Pause();
        sandbox.Resume();
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task A_pause_in_the_middle_of_a_stop_keeps_nothing_from_ending(string freezer)
    {
        for (var round = 0; round < 20; round++)
        {
            var sandbox = await StartAsync(freezer);
            var pausing = Task.Run(sandbox.Pause, TestContext.Current.CancellationToken);
            await sandbox.StopAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            await pausing;
            Assert.Empty(GroupsOf(sandbox));
        }
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task A_bound_below_what_a_paused_one_uses_ends_it(string freezer)
    {
        var sandbox = await StartAsync(freezer);
        await sandbox.AskAsync("globals().update(hog=bytearray(100 << 20))");
        sandbox.Pause();
        await EventuallyStandsStillAsync(sandbox);
        sandbox.LimitMemory(32);
        await sandbox.Exited.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.True(sandbox.MemoryExhausted);
    }

    [Theory]
    [MemberData(nameof(Freezers))]
    public async Task The_next_start_ends_what_a_killed_server_left_paused(string freezer)
    {
        await RequireAsync(freezer);
        using var folder = new RunFolder();
        var (server, pid) = await KilledServer.StartAsync(folder, freezer);
        using var owned = server;
        server.Kill();
        await server.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(freezer is SandboxesOptions.FreezerV2 || Directory.Exists($"/proc/{pid}"), "What v1 has frozen was to be there still.");

        var notes = await File.ReadAllLinesAsync(Path.Combine(Directory.GetDirectories(folder.Options.RunFolder).Single(), "ledger"), TestContext.Current.CancellationToken);
        Assert.Equal(1, await SandboxLeftovers.CleanAsync(folder.Options, TimeProvider.System, NullLogger.Instance, TestContext.Current.CancellationToken));
        Assert.Empty(Directory.GetDirectories(folder.Options.RunFolder));
        await Eventually.TrueAsync(() => !Directory.Exists($"/proc/{pid}"));
        Assert.All(notes.Where(static line => line.StartsWith("cgroup ", StringComparison.Ordinal)), static line => Assert.False(Directory.Exists(line["cgroup ".Length..]), line));
    }

    [Fact]
    public async Task Where_nothing_freezes_it_is_said_and_the_use_of_the_cores_is_still_known()
    {
        var sandbox = await StartAsync(SandboxesOptions.NoFreezer);
        Assert.False(sandbox.CanPause);
        Assert.Throws<NotSupportedException>(sandbox.Pause);
        Assert.Contains(_maker!.Report.Missing, static words => words.StartsWith("An idle sandbox is not paused", StringComparison.Ordinal));
        var before = sandbox.MeasureCpuTime();
        await sandbox.AskAsync("sum(range(20_000_000))");
        Assert.True(sandbox.MeasureCpuTime() - before > Burnt);
    }

    private static Task EventuallyStandsStillAsync(ISandbox sandbox)
    {
        const int Looks = 5;
        var (last, same) = (TimeSpan.MinValue, 0);
        return Eventually.TrueAsync(() =>
        {
            var now = sandbox.MeasureCpuTime()!.Value;
            same = now == last ? same + 1 : 0;
            last = now;
            return same == Looks;
        });
    }

    private List<string> GroupsOf(ISandbox sandbox)
    {
        var instance = Path.GetFileName(Directory.GetDirectories(_folder.Options.RunFolder).Single());
        return [.. Directory.GetDirectories("/sys/fs/cgroup", sandbox.Label, new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 4, IgnoreInaccessible = true })
            .Where(group => group.Contains(instance, StringComparison.Ordinal))];
    }

    private async Task RequireAsync(string freezer)
    {
        if (_maker is null)
        {
            Assert.SkipUnless(Environment.UserName is "root", "root is needed for cgroups.");
            (_folder.Options.Freezer, _folder.Options.Network.Mode, _folder.Options.Vacant) = (freezer, SandboxNetworkOptions.None, 0);
            (_maker, var reason) = await BubblewrapSandboxMaker.TryCreateAsync(_folder.Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
            Assert.SkipWhen(_maker is null, reason);
        }

        var words = freezer is SandboxesOptions.NoFreezer ? "" : $"idle ones stand still (cgroup {freezer})";
        Assert.SkipUnless(words.Length == 0 || _maker.Report.Limits.Contains(words, StringComparer.Ordinal), $"This host has no freezer of cgroup {freezer}.");
    }

    private async Task<ISandbox> StartAsync(string freezer)
    {
        await RequireAsync(freezer);
        return await _maker!.StartAsync(Workload.Python(), TestContext.Current.CancellationToken);
    }
}
