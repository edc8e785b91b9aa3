using System.Buffers;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Frusta.Sockets.Tests;

public sealed class SocketInputTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task What_a_client_sends_is_read_whole_however_it_is_cut_and_looked_at(int seed)
    {
        var random = new Random(seed);
        var sent = new byte[3_000_000];
        random.NextBytes(sent);
        await using var pair = await Pair.ConnectAsync();
        var sending = SendInPiecesAsync(pair.Client, sent, new Random(seed + 100));

        var received = new ArrayBufferWriter<byte>();
        var input = pair.Server.Transport.Input;
        while (true)
        {
            var read = await input.ReadAsync(TestContext.Current.CancellationToken);
            var buffer = read.Buffer;
            if (read.IsCompleted && buffer.IsEmpty)
            {
                break;
            }

            // Sometimes nothing of it is taken, sometimes a part, and the rest is looked at or not.
            var taken = random.Next(4) == 0 && !read.IsCompleted && buffer.Length < 200_000 ? 0 : random.NextInt64(1, buffer.Length + 1);
            var examined = random.Next(2) == 0 && taken > 0 ? taken : buffer.Length;
            received.Write(buffer.Slice(0, taken).ToArray());
            input.AdvanceTo(buffer.GetPosition(taken), buffer.GetPosition(examined));
        }

        await sending;
        Assert.Equal(sent, received.WrittenSpan);
    }

    [Fact]
    public async Task One_that_sends_without_end_lets_others_have_their_turn()
    {
        await using var pair = await Pair.ConnectAsync();
        var (gateClient, gateServer) = await pair.ConnectAnotherAsync();
        var (otherClient, otherServer) = await pair.ConnectAnotherAsync();
        using var entered = new ManualResetEventSlim();
        using var opened = new ManualResetEventSlim();
        long total = long.MaxValue, read = 0, readBeforeOther = -1;

        // Each waits for its first byte when this goes on, so that it comes to it on the loop.
        var gate = await Task.Factory.StartNew(HoldLoopAsync, TestContext.Current.CancellationToken, TaskCreationOptions.None, TaskScheduler.Default);
        var reading = await Task.Factory.StartNew(ReadAllAsync, TestContext.Current.CancellationToken, TaskCreationOptions.None, TaskScheduler.Default);
        var other = await Task.Factory.StartNew(NoteAsync, TestContext.Current.CancellationToken, TaskCreationOptions.None, TaskScheduler.Default);
        gateClient.Send([1]);
        Assert.True(entered.Wait(Long, TestContext.Current.CancellationToken));
        pair.Client.Blocking = false;
        var sent = 0L;
        for (var stuck = 0; stuck < 20;)
        {
            var count = pair.Client.Send(new byte[64 * 1024], SocketFlags.None, out var error);
            sent += error == SocketError.Success ? count : 0;
            stuck = error == SocketError.WouldBlock ? stuck + 1 : 0;
        }

        otherClient.Send([1]);
        Volatile.Write(ref total, sent);
        opened.Set();
        await Task.WhenAll(gate, reading, other).WaitAsync(Long, TestContext.Current.CancellationToken);

        Assert.True(sent > 1_000_000, $"Only {sent} bytes were sent.");
        Assert.InRange(readBeforeOther, 0, 512 * 1024);
        gateClient.Dispose();
        otherClient.Dispose();
        await gateServer.DisposeAsync();
        await otherServer.DisposeAsync();

        async Task HoldLoopAsync()
        {
            await gateServer.Transport.Input.ReadAsync(CancellationToken.None);
            entered.Set();
            opened.Wait(Long);
        }

        async Task ReadAllAsync()
        {
            while (read < Volatile.Read(ref total))
            {
                var result = await pair.Server.Transport.Input.ReadAsync(CancellationToken.None);
                read += result.Buffer.Length;
                pair.Server.Transport.Input.AdvanceTo(result.Buffer.End);
            }
        }

        async Task NoteAsync()
        {
            await otherServer.Transport.Input.ReadAsync(CancellationToken.None);
            readBeforeOther = read;
        }
    }

    [Fact]
    public async Task A_reader_that_does_not_ask_holds_the_client_up()
    {
        await using var pair = await Pair.ConnectAsync(sendBuffer: 16 * 1024);
        pair.Client.Blocking = false;
        var piece = new byte[64 * 1024];
        long sent = 0;
        var stuck = 0;
        while (stuck < 20)
        {
            var count = pair.Client.Send(piece, SocketFlags.None, out var error);
            sent += error == SocketError.Success ? count : 0;
            stuck = error == SocketError.WouldBlock ? stuck + 1 : 0;
            if (stuck > 0)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, TestContext.Current.CancellationToken);
            }

            Assert.True(sent < 100_000_000, "nothing holds the client up");
        }

        pair.Client.Shutdown(SocketShutdown.Send);
        long received = 0;
        var input = pair.Server.Transport.Input;
        while (true)
        {
            var read = await input.ReadAsync(TestContext.Current.CancellationToken);
            received += read.Buffer.Length;
            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                break;
            }
        }

        Assert.Equal(sent, received);
    }

    [Fact]
    public async Task A_client_that_closes_its_end_is_read_to_its_last_byte_and_the_connection_is_said_to_be_closed()
    {
        await using var pair = await Pair.ConnectAsync();
        var closed = new TaskCompletionSource();
        pair.Server.ConnectionClosed.Register(closed.SetResult);
        await pair.Client.SendAsync(new byte[10], TestContext.Current.CancellationToken);
        pair.Client.Shutdown(SocketShutdown.Send);

        await closed.Task.WaitAsync(Long, TestContext.Current.CancellationToken); // nobody reads, and still it is seen

        Assert.Equal(10, await DrainAsync(pair));
    }

    [Fact]
    public async Task A_broken_connection_is_told_to_the_reader()
    {
        await using var pair = await Pair.ConnectAsync();
        var reading = pair.Server.Transport.Input.ReadAsync(TestContext.Current.CancellationToken);
        Assert.False(reading.IsCompleted);
        pair.Client.LingerState = new LingerOption(enable: true, 0);
        pair.Client.Close();

        await Assert.ThrowsAsync<ConnectionResetException>(async () => await reading.AsTask().WaitAsync(Long, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_cancelled_wait_ends_and_the_next_one_goes_on()
    {
        await using var pair = await Pair.ConnectAsync();
        var input = pair.Server.Transport.Input;
        var first = input.ReadAsync(TestContext.Current.CancellationToken);

        input.CancelPendingRead();
        var cancelled = await first;
        input.AdvanceTo(cancelled.Buffer.Start);
        var second = input.ReadAsync(TestContext.Current.CancellationToken);
        await pair.Client.SendAsync(new byte[3], TestContext.Current.CancellationToken);
        var read = await second;

        Assert.True(cancelled.IsCanceled);
        Assert.False(read.IsCanceled);
        Assert.Equal(3, read.Buffer.Length);
        input.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task A_wait_ends_with_its_token_and_the_bytes_that_come_later_are_not_lost()
    {
        await using var pair = await Pair.ConnectAsync();
        var input = pair.Server.Transport.Input;
        using var token = new CancellationTokenSource();
        var first = input.ReadAsync(token.Token);

        await token.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await first);
        await pair.Client.SendAsync(new byte[3], TestContext.Current.CancellationToken);
        var read = await input.ReadAsync(TestContext.Current.CancellationToken);

        Assert.Equal(3, read.Buffer.Length);
        input.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task Cancelling_at_any_moment_loses_neither_a_byte_nor_a_wake_up()
    {
        const int Bytes = 20_000;
        await using var pair = await Pair.ConnectAsync();
        var input = pair.Server.Transport.Input;
        using var done = new CancellationTokenSource();
        var cancelling = Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                input.CancelPendingRead();
                Thread.SpinWait(50);
            }
        }, TestContext.Current.CancellationToken);
        var sending = Task.Run(() =>
        {
            for (var i = 0; i < Bytes; i++)
            {
                pair.Client.Send([(byte)i]);
            }
        }, TestContext.Current.CancellationToken);

        var received = 0;
        while (received < Bytes)
        {
            var read = await input.ReadAsync(CancellationToken.None).AsTask().WaitAsync(Long, TestContext.Current.CancellationToken);
            received += (int)read.Buffer.Length;
            input.AdvanceTo(read.Buffer.End);
        }

        await sending;
        await done.CancelAsync();
        await cancelling;
        Assert.Equal(Bytes, received);
    }

    [Fact]
    public async Task A_reader_that_is_completed_while_it_waits_is_told_and_its_loop_serves_others()
    {
        await using var pair = await Pair.ConnectAsync();
        var reading = pair.Server.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).AsTask();

        await pair.Server.Transport.Input.CompleteAsync();
        await pair.Client.SendAsync(new byte[3], TestContext.Current.CancellationToken);

        await Assert.ThrowsAnyAsync<InvalidOperationException>(async () => await reading.WaitAsync(Long, TestContext.Current.CancellationToken));
        var (client, server) = await pair.ConnectAnotherAsync();
        using var clientOwned = client;
        await using var serverOwned = server;
        var other = server.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).AsTask();
        await client.SendAsync(new byte[5], TestContext.Current.CancellationToken);
        Assert.Equal(5, (await other.WaitAsync(Long, TestContext.Current.CancellationToken)).Buffer.Length);
    }

    [Fact]
    public async Task Breaking_the_connection_ends_the_wait_of_its_reader()
    {
        await using var pair = await Pair.ConnectAsync();
        var reading = pair.Server.Transport.Input.ReadAsync(TestContext.Current.CancellationToken);

        pair.Server.Abort(new ConnectionAbortedException("enough"));

        Assert.True((await reading.AsTask().WaitAsync(Long, TestContext.Current.CancellationToken)).IsCompleted);
    }

    private static async Task SendInPiecesAsync(Socket client, byte[] bytes, Random random)
    {
        await Task.Yield();
        var rest = bytes.AsMemory();
        while (rest.Length > 0)
        {
            var count = Math.Min(rest.Length, random.Next(3) == 0 ? random.Next(1, 100) : random.Next(1, 100_000));
            rest = rest[await client.SendAsync(rest[..count], TestContext.Current.CancellationToken)..];
        }

        client.Shutdown(SocketShutdown.Send);
    }

    private static async Task<long> DrainAsync(Pair pair)
    {
        long all = 0;
        while (true)
        {
            var read = await pair.Server.Transport.Input.ReadAsync(TestContext.Current.CancellationToken);
            all += read.Buffer.Length;
            pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                return all;
            }
        }
    }
}
