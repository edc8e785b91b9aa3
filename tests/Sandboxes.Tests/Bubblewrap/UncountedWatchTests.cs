using Frusta.Sandboxes.Bubblewrap;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>Who has the kernel hold more than it may where no cgroup counts is ended, and the neighbour is not.</summary>
public sealed class UncountedWatchTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    private const string Listen = "globals().update(listeners=[socket.create_server(('127.0.0.1', 0), backlog=128) for _ in range(10)])";

    // Half of them are reset, and wait all the same.
    private const string Connect = """
        exec('def fill(many):\n'
             ' for listener in listeners:\n'
             '  for i in range(many):\n'
             '   one = socket.create_connection(listener.getsockname()); one.setblocking(False)\n'
             '   try:\n'
             '    while True: one.send(bytes(16384))\n'
             '   except BlockingIOError: pass\n'
             '   if i % 2: one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\0\\0\\0\\0")\n'
             '   one.close()', globals())
        """;

    [Fact]
    public async Task One_that_accepts_no_connections_is_ended_when_there_are_too_many_of_them()
    {
        await using var neighbour = await host.StartAsync();
        await using var sandbox = await host.StartAsync();
        await ConnectAsync(neighbour, 20);
        await ConnectAsync(sandbox, 127);
        await AssertEndedAsync(sandbox);
        Assert.True(sandbox.MemoryExhausted);
        Assert.Equal("2", await neighbour.AskAsync("1 + 1"));
    }

    [Fact]
    public async Task Nor_may_one_without_a_network()
    {
        host.RequireMaker();
        using var folder = new RunFolder();
        folder.Options.Network.Mode = SandboxNetworkOptions.None;
        var (maker, reason) = await BubblewrapSandboxMaker.TryCreateAsync(folder.Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        Assert.Equal("", reason);
        await using var alone = maker!;
        await using var sandbox = await alone.StartAsync(Workload.Python(), TestContext.Current.CancellationToken);
        await ConnectAsync(sandbox, 127);
        await AssertEndedAsync(sandbox);
    }

    [Fact]
    public async Task One_that_locks_too_much_is_ended()
    {
        await using var neighbour = await host.StartAsync();
        await using var sandbox = await host.StartAsync();
        foreach (var (one, many) in new[] { (neighbour, 1), (sandbox, 500) })
        {
            await one.AskAsync($"globals().update(files=[open('/tmp/%d' % i, 'w') for i in range({many})])");
            await one.AskAsync("[[__import__('fcntl').lockf(file, 2, 1, 2 * i) for i in range(400)] for file in files] and 1");
        }

        await AssertEndedAsync(sandbox);
        Assert.Equal("2", await neighbour.AskAsync("1 + 1"));
    }

    private static async Task ConnectAsync(ISandbox sandbox, int many)
    {
        await sandbox.AskAsync(Listen);
        await sandbox.AskAsync(Connect.ReplaceLineEndings(" "));
        await sandbox.AskAsync($"fill({many})");
    }

    private static async Task AssertEndedAsync(ISandbox sandbox) =>
        Assert.Equal(137, (await sandbox.Exited.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken)).ExitCode);
}
