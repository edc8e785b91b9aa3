using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

public sealed class ChannelTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    [Fact]
    public async Task It_is_two_pipes_through_which_nothing_but_bytes_can_be_passed()
    {
        await using var sandbox = await host.StartAsync();
        Assert.Equal("[True, True]", await sandbox.AskAsync("[__import__('stat').S_ISFIFO(os.fstat(end).st_mode) for end in (3, 4)]"));
        foreach (var end in (int[])[3, 4])
        {
            var refusal = await sandbox.AskAsync(
                $"socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=os.dup({end})).sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b'' + bytes(4))])");
            Assert.Equal("ERROR OSError [Errno 88] Socket operation on non-socket", refusal);
        }
    }

    [Theory]
    [InlineData("os.open('/proc/self/fd/3', os.O_WRONLY)")]
    [InlineData("os.open('/proc/self/fd/4', os.O_RDONLY)")]
    [InlineData("os.open('/proc/self/fd/4', os.O_RDWR)")]
    public async Task Its_processes_cannot_open_the_other_direction(string attempt)
    {
        await using var sandbox = await host.StartAsync();
        Assert.StartsWith("ERROR PermissionError", await sandbox.AskAsync(attempt), StringComparison.Ordinal);
    }

    /// <summary>Else its end would not be seen before theirs.</summary>
    [Fact]
    public async Task No_process_around_the_program_holds_it()
    {
        await using var sandbox = await host.StartAsync();

        Assert.Equal("2", await sandbox.AskAsync("1 + 1"));
        sandbox.Tell("os.dup2(2, 4)");

        Assert.Equal(0, await EndAsync(sandbox));
        Assert.False(sandbox.Exited.IsCompleted);
    }

    /// <summary>What a read says when the last of the other ends is closed.</summary>
    private static async Task<int> EndAsync(ISandbox sandbox)
    {
        var count = OutputPipe.WouldBlock;
        await Eventually.TrueAsync(() => (count = OutputPipe.Read(sandbox.Channel().Answers, new byte[16])) != OutputPipe.WouldBlock);
        return count;
    }
}
