using System.Globalization;
using Frusta.Sandboxes.Bubblewrap;
using Frusta.Sandboxes.Makers;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

public sealed class LifeTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    [Fact]
    public async Task Stopping_gives_everything_back()
    {
        var sandbox = await host.StartAsync();
        var instance = Path.GetFileName(Directory.GetDirectories(host.Options.RunFolder).Single());
        await sandbox.AskAsync("__import__('subprocess').Popen(['/bin/sleep', '1000'], start_new_session=True).pid");
        var groups = Directory.GetDirectories("/sys/fs/cgroup", sandbox.Label, new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 4, IgnoreInaccessible = true })
            .Where(group => group.Contains(instance, StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(groups);
        await sandbox.StopAsync();
        await sandbox.StopAsync();
        Assert.Equal(137, (await sandbox.Exited).ExitCode);
        Assert.All(groups, static group => Assert.False(Directory.Exists(group)));
    }

    [Fact]
    public async Task The_first_process_ends_and_takes_its_children_along()
    {
        await using var sandbox = await host.StartAsync();
        await sandbox.AskAsync("__import__('subprocess').Popen(['/bin/sleep', '1000'], start_new_session=True).pid");
        await sandbox.AskAsync("os._exit(7)");
        Assert.Equal(7, (await sandbox.Exited.WaitAsync(TestContext.Current.CancellationToken)).ExitCode);
    }

    [Fact]
    public async Task A_program_that_ends_before_its_hello_is_a_start_failure_with_its_words()
    {
        var failure = await Assert.ThrowsAsync<SandboxStartException>(() => host.StartAsync(Workload.Run("/bin/sh", "-c", "echo no luck >&2; exit 3")));
        Assert.Contains("exit code 3", failure.Message, StringComparison.Ordinal);
        Assert.Contains("no luck", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fifty_starts_at_once_all_succeed_and_each_has_a_user_of_its_own()
    {
        var starting = Enumerable.Range(0, 50).Select(_ => host.StartAsync()).ToList();
        var sandboxes = await Task.WhenAll(starting);
        Assert.Equal(50, sandboxes.Select(static sandbox => ((BubblewrapSandbox)sandbox).Holdings.User).Distinct().Count());
        Assert.All(sandboxes, static sandbox => Assert.NotNull(((BubblewrapSandbox)sandbox).Holdings.User));
        await Task.WhenAll(sandboxes.Select(static sandbox => sandbox.StopAsync().AsTask()));
    }

    [Fact]
    public async Task When_the_server_is_killed_its_sandboxes_die_and_the_next_start_cleans_up()
    {
        host.RequireMaker();
        using var folder = new RunFolder();
        var (server, pid) = await KilledServer.StartAsync(folder);
        using var owned = server;
        Assert.True(Directory.Exists($"/proc/{pid}"));
        server.Kill();
        await server.WaitForExitAsync(TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() => !Directory.Exists($"/proc/{pid}"));

        var notes = await File.ReadAllLinesAsync(Path.Combine(Directory.GetDirectories(folder.Options.RunFolder).Single(), "ledger"), TestContext.Current.CancellationToken);
        Assert.Equal(1, await SandboxLeftovers.CleanAsync(folder.Options, TimeProvider.System, NullLogger.Instance, TestContext.Current.CancellationToken));
        Assert.Empty(Directory.GetDirectories(folder.Options.RunFolder));
        Assert.Contains(notes, static line => line.StartsWith("cgroup ", StringComparison.Ordinal));
        foreach (var line in notes)
        {
            var words = line.Split(' ');
            Assert.False(words[0] is "cgroup" && Directory.Exists(words[1]), line);
            Assert.False(words[0] is "link" && Directory.Exists($"/sys/class/net/{words[1]}"), line);
        }
    }

    [Fact]
    public async Task What_would_not_end_in_time_is_left_with_the_ledger_that_names_it()
    {
        host.RequireMaker();
        using var folder = new RunFolder();
        (folder.Options.Network.Mode, folder.Options.Vacant) = (SandboxNetworkOptions.None, 0);
        var (maker, _) = await BubblewrapSandboxMaker.TryCreateAsync(folder.Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        var instance = Directory.GetDirectories(folder.Options.RunFolder).Single();
        var notes = await File.ReadAllLinesAsync(Path.Combine(instance, "ledger"), TestContext.Current.CancellationToken);
        var group = notes.First(static line => line.StartsWith("cgroup ", StringComparison.Ordinal))["cgroup ".Length..];
        var left = Directory.CreateDirectory(Path.Combine(group, "left"));

        await maker!.DisposeAsync();

        Assert.True(File.Exists(Path.Combine(instance, "ledger")));
        left.Delete();
        Directory.Delete(group);
    }

    [Fact]
    public async Task All_sandboxes_together_weigh_as_a_task_on_each_core()
    {
        await using var sandbox = await host.StartAsync();
        var (file, task) = File.Exists("/sys/fs/cgroup/cgroup.controllers") ? ("/sys/fs/cgroup/frusta/cpu.weight", 100) : ("/sys/fs/cgroup/cpu/frusta/cpu.shares", 1024);
        var weight = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
        Assert.Equal(task * Environment.ProcessorCount, int.Parse(weight, CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_mount_from_a_closed_folder_is_seen_inside()
    {
        host.RequireMaker();
        using var closed = new RunFolder();
        var folder = Path.Combine(closed.Options.RunFolder, "closed", "runner");
        Directory.CreateDirectory(folder);
        File.SetUnixFileMode(Path.GetDirectoryName(folder)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await File.WriteAllTextAsync(Path.Combine(folder, "main.js"), "hello", TestContext.Current.CancellationToken);
        await using var sandbox = await host.StartAsync(Workload.Python() with { Mounts = [new SandboxMount(folder, "/runner")] });
        Assert.Equal("hello", await sandbox.AskAsync("open('/runner/main.js').read()"));
        Assert.StartsWith("ERROR", await sandbox.AskAsync("open('/runner/main.js', 'a')"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bound_below_what_is_in_use_ends_the_sandbox()
    {
        await using var sandbox = await host.StartAsync(Workload.Python(memoryMb: 256));
        await sandbox.AskAsync("globals().update(hog=bytearray(100 << 20))");
        Assert.InRange(sandbox.MeasureMemory(), 100 << 20, 256 << 20);
        sandbox.LimitMemory(32);
        await sandbox.Exited.WaitAsync(TestContext.Current.CancellationToken);
        Assert.True(sandbox.MemoryExhausted);
    }

    [Fact]
    public async Task A_child_that_was_ended_for_want_of_memory_is_not_why_a_later_run_ends()
    {
        await using var sandbox = await host.StartAsync(Workload.Python(memoryMb: 64));
        var child = await sandbox.AskAsync("__import__('subprocess').run([sys.executable, '-c', 'bytearray(200 << 20)']).returncode");
        Assert.SkipWhen(child is "CLOSED", "cgroup v2 ends the whole sandbox.");
        Assert.Equal("-9", child);

        sandbox.ForgetKills();
        await sandbox.AskAsync("os._exit(3)");

        Assert.Equal(3, (await sandbox.Exited.WaitAsync(TestContext.Current.CancellationToken)).ExitCode);
        Assert.False(sandbox.MemoryExhausted);
    }

    [Fact]
    public async Task A_living_instance_is_not_cleaned()
    {
        await using var sandbox = await host.StartAsync();
        Assert.Equal(0, await SandboxLeftovers.CleanAsync(host.Options, TimeProvider.System, NullLogger.Instance, TestContext.Current.CancellationToken));
        Assert.Equal("2", await sandbox.AskAsync("1 + 1"));
    }
}
