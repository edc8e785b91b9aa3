using System.Buffers;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Frusta.Sockets.Tests;

public sealed class SocketOutputTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_client_that_does_not_read_holds_the_flush_up_and_nothing_is_lost()
    {
        await using var pair = await Pair.ConnectAsync(sendBuffer: 16 * 1024);
        var sent = new byte[30_000_000];
        new Random(1).NextBytes(sent);
        pair.Server.Transport.Output.Write(sent);

        var flushing = pair.Server.Transport.Output.FlushAsync(TestContext.Current.CancellationToken);
        Assert.False(flushing.IsCompleted);
        var received = await ReceiveAsync(pair.Client, sent.Length);

        Assert.False((await flushing).IsCompleted);
        Assert.Equal(sent, received);
    }

    [Fact]
    public async Task A_flush_that_was_cancelled_leaves_the_rest_to_the_next()
    {
        await using var pair = await Pair.ConnectAsync(sendBuffer: 16 * 1024);
        var output = pair.Server.Transport.Output;
        var sent = new byte[30_000_000];
        new Random(2).NextBytes(sent);
        output.Write(sent.AsSpan(0, sent.Length - 1000));
        var first = output.FlushAsync(TestContext.Current.CancellationToken);

        output.CancelPendingFlush();
        Assert.True((await first).IsCanceled);
        output.Write(sent.AsSpan(sent.Length - 1000));
        var second = output.FlushAsync(TestContext.Current.CancellationToken);
        var received = await ReceiveAsync(pair.Client, sent.Length);
        await second;

        Assert.Equal(sent, received);
    }

    [Fact]
    public async Task A_client_that_went_ends_the_flush()
    {
        await using var pair = await Pair.ConnectAsync(sendBuffer: 16 * 1024);
        pair.Server.Transport.Output.Write(new byte[30_000_000]);
        var flushing = pair.Server.Transport.Output.FlushAsync(TestContext.Current.CancellationToken);
        Assert.False(flushing.IsCompleted);

        pair.Client.Close();

        Assert.True((await flushing.AsTask().WaitAsync(Long, TestContext.Current.CancellationToken)).IsCompleted);
    }

    [Fact]
    public async Task Breaking_the_connection_ends_the_flush()
    {
        await using var pair = await Pair.ConnectAsync(sendBuffer: 16 * 1024);
        pair.Server.Transport.Output.Write(new byte[30_000_000]);
        var flushing = pair.Server.Transport.Output.FlushAsync(TestContext.Current.CancellationToken);

        pair.Server.Abort(new ConnectionAbortedException("enough"));

        Assert.True((await flushing.AsTask().WaitAsync(Long, TestContext.Current.CancellationToken)).IsCompleted);
    }

    [Fact]
    public async Task Completing_the_output_ends_a_flush_that_waits()
    {
        await using var pair = await Pair.ConnectAsync(sendBuffer: 16 * 1024);
        pair.Server.Transport.Output.Write(new byte[30_000_000]);
        var flushing = pair.Server.Transport.Output.FlushAsync(TestContext.Current.CancellationToken).AsTask();

        await pair.Server.Transport.Output.CompleteAsync();

        Assert.True((await flushing.WaitAsync(Long, TestContext.Current.CancellationToken)).IsCompleted);
    }

    [Fact]
    public async Task Ending_the_connection_ends_a_flush_at_any_moment_of_it()
    {
        for (var i = 0; i < 200; i++)
        {
            await using var pair = await Pair.ConnectAsync(sendBuffer: 16 * 1024);
            pair.Server.Transport.Output.Write(new byte[5_000_000]);
            var flushing = pair.Server.Transport.Output.FlushAsync(TestContext.Current.CancellationToken).AsTask();
            var reading = Task.Run(() => pair.Client.Receive(new byte[1_000_000]), TestContext.Current.CancellationToken);

            await pair.Server.DisposeAsync();

            Assert.True((await flushing.WaitAsync(Long, TestContext.Current.CancellationToken)).IsCompleted);
            await reading;
        }
    }

    [Fact]
    public async Task The_last_answer_reaches_a_client_whose_request_was_not_read()
    {
        await using var pair = await Pair.ConnectAsync();
        await pair.Client.SendAsync(new byte[50_000], TestContext.Current.CancellationToken);
        pair.Server.Transport.Output.Write("no"u8);

        await pair.Server.Transport.Output.FlushAsync(TestContext.Current.CancellationToken);
        await pair.Server.DisposeAsync();

        Assert.Equal("no"u8.ToArray(), await ReceiveAsync(pair.Client, 2));
        Assert.Equal(0, await pair.Client.ReceiveAsync(new byte[1], TestContext.Current.CancellationToken));
    }

    private static async Task<byte[]> ReceiveAsync(Socket client, int length)
    {
        var received = new byte[length];
        var have = 0;
        while (have < length)
        {
            var count = await client.ReceiveAsync(received.AsMemory(have), TestContext.Current.CancellationToken);
            Assert.NotEqual(0, count);
            have += count;
        }

        return received;
    }
}
