using System.Runtime.InteropServices;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests;

/// <summary>A call on the host's ends never waits for what a sandbox does, whatever is done to the ends inside.</summary>
public sealed partial class ChannelPipesTests
{
    private const int SetStatusFlags = 4;
    private const int SetPipeSize = 1031;
    private const int NonBlocking = 0x800;
    private const int Direct = 0x4000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData(0, 0)]
    [InlineData(SetStatusFlags, 0)]
    [InlineData(SetStatusFlags, NonBlocking)]
    [InlineData(SetStatusFlags, Direct)]
    [InlineData(SetPipeSize, 4096)]
    [InlineData(SetPipeSize, 1 << 20)]
    public async Task Neither_a_read_of_nothing_nor_a_write_without_room_waits(int command, int value)
    {
        using var pipes = ChannelPipes.Open();
        foreach (var end in pipes.Inherited)
        {
            Assert.True(command == 0 || fcntl(end, command, value) >= 0);
        }

        Assert.Equal(OutputPipe.WouldBlock, await InTimeAsync(() => OutputPipe.Read(pipes.Host.Answers, new byte[16])));
        var holds = command == SetPipeSize ? value : 64 * 1024;
        Assert.Equal(holds, await InTimeAsync(() => Write(pipes, 2 << 20)));
        Assert.Equal(-1, await InTimeAsync(() => Write(pipes, 4096)));
        pipes.Host.Dispose();
    }

    private static int Write(ChannelPipes pipes, int length) => (int)write(pipes.Host.Requests, new byte[length], length);

    /// <summary>What waits for ever fails here, and its thread stays behind.</summary>
    private static Task<int> InTimeAsync(Func<int> call) =>
        Task.Factory.StartNew(call, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(Patience, TestContext.Current.CancellationToken);

    [LibraryImport("libc")]
    private static partial int fcntl(SafeHandle file, int command, nint value);

    [LibraryImport("libc")]
    private static partial nint write(SafeHandle file, byte[] bytes, nint length);
}
