using Frusta.Sandboxes.Bubblewrap;
using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>Sandboxes that were built ahead. Those of one class run in turn, so that each finds the shelf full.</summary>
public sealed class VacantTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    private static readonly string[] Questions =
    [
        "sorted(os.environ.items())", "os.getcwd()", "os.readlink('/proc/self/fd/0')", "sorted(int(fd) for fd in os.listdir('/proc/self/fd'))",
        "os.getpid()", "os.getppid()", "__import__('resource').getrlimit(__import__('resource').RLIMIT_NOFILE)", "__import__('resource').getrlimit(__import__('resource').RLIMIT_NPROC)",
        "__import__('resource').getrlimit(__import__('resource').RLIMIT_FSIZE)", "__import__('resource').getrlimit(__import__('resource').RLIMIT_CORE)",
        "open('/proc/self/status').read().split('Threads')[1].split('Cpus_allowed')[0].split('SigPnd')[1]", "open('/proc/1/cmdline').read().split(chr(0))[0]",
    ];

    [Fact]
    public async Task A_program_finds_what_it_finds_in_one_that_was_built_for_it()
    {
        var spec = Workload.Python();
        await FillAsync(spec);
        using var other = new RunFolder();
        other.Options.Vacant = 0;
        await using var maker = await MakeAsync(other.Options, "10.95.0.0/16");
        await using var built = await maker.StartAsync(spec, TestContext.Current.CancellationToken);
        var before = host.Maker.Vacant;
        await using var occupied = await host.StartAsync(spec);
        Assert.Equal(before - 1, host.Maker.Vacant);
        foreach (var question in Questions)
        {
            Assert.Equal(await built.AskAsync(question), await occupied.AskAsync(question));
        }
    }

    [Fact]
    public async Task It_is_bound_to_the_memory_of_the_action_that_it_is_taken_for()
    {
        await FillAsync(Workload.Python(512));
        await using var sandbox = await host.StartAsync(Workload.Python(64));
        Assert.Equal("CLOSED", await sandbox.AskAsync("len(bytearray(200 << 20))"));
        Assert.True(sandbox.MemoryExhausted);
    }

    [Fact]
    public async Task The_words_of_its_command_arrive_as_they_are()
    {
        await FillAsync(Workload.Python());
        string[] words = ["it's", "a b", "two\nlines", "$HOME `id` \\ \"x\" *", "", "<&>;|#"];
        var command = Workload.Python().Command;
        await using var sandbox = await host.StartAsync(Workload.Python() with { Command = [.. command, .. words] });
        Assert.Equal(Convert.ToHexString(System.Text.Encoding.UTF8.GetBytes(string.Join('\0', words))), (await sandbox.AskAsync("chr(0).join(sys.argv[1:]).encode().hex()")).ToUpperInvariant());
    }

    [Fact]
    public async Task One_that_was_ended_while_it_waited_is_passed_over()
    {
        await FillAsync(Workload.Python());
        foreach (var waiting in await WaitingAsync())
        {
            _ = Libc.Kill(waiting, Libc.SigKill);
        }

        await Eventually.TrueAsync(() => host.Maker.Vacant == 0);
        await using var sandbox = await host.StartAsync();
        Assert.Equal("2", await sandbox.AskAsync("1+1"));
    }

    [Fact]
    public async Task A_start_that_looks_otherwise_does_not_get_one()
    {
        await FillAsync(Workload.Python());
        var before = host.Maker.Vacant;
        var other = Workload.Python() with { Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["OTHER"] = "yes" } };
        await using var sandbox = await host.StartAsync(other);
        Assert.Equal("yes", await sandbox.AskAsync("os.environ['OTHER']"));
        Assert.Equal(before, host.Maker.Vacant);
    }

    [Fact]
    public async Task They_end_with_their_maker()
    {
        await FillAsync(Workload.Python());
        var others = await WaitingAsync();
        int[] waiting;
        string folder;
        using (var other = new RunFolder())
        {
            folder = other.Options.RunFolder;
            var maker = await MakeAsync(other.Options, "10.94.0.0/16");
            await using (maker)
            {
                maker.Expect(Workload.Python());
                await Eventually.TrueAsync(() => maker.Vacant == other.Options.Vacant);
                waiting = [.. (await WaitingAsync()).Except(others)];
                Assert.NotEmpty(waiting);
            }

            Assert.Empty(Directory.GetDirectories(folder));
        }

        Assert.Empty((await WaitingAsync()).Intersect(waiting));
    }

    private static async Task<BubblewrapSandboxMaker> MakeAsync(SandboxesOptions options, string subnet)
    {
        options.Network.Subnet = subnet;
        var (maker, reason) = await BubblewrapSandboxMaker.TryCreateAsync(
            options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        Assert.True(maker is not null, reason);
        return maker;
    }

    private async Task FillAsync(SandboxSpec spec)
    {
        host.RequireMaker();
        host.Maker.Expect(spec);
        await Eventually.TrueAsync(() => host.Maker.Vacant == host.Options.Vacant);
    }

    /// <summary>The bubblewraps that this process started and that a shell waits in; each has a child with the same command line.</summary>
    private static async Task<int[]> WaitingAsync()
    {
        var found = new List<int>();
        foreach (var pid in ProcessTable.Read().Tree(Environment.ProcessId))
        {
            try
            {
                var command = await File.ReadAllTextAsync($"/proc/{pid}/cmdline", TestContext.Current.CancellationToken);
                var status = await File.ReadAllTextAsync($"/proc/{pid}/status", TestContext.Current.CancellationToken);
                if (command.EndsWith($"--\0{LaunchedSandbox.Shell}\0", StringComparison.Ordinal) && status.Contains($"\nPPid:\t{Environment.ProcessId}\n", StringComparison.Ordinal))
                {
                    found.Add(pid);
                }
            }
            catch (IOException)
            {
                // It has just ended.
            }
        }

        return [.. found];
    }
}
