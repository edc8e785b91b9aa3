using Frusta.Contracts.Buffers;
using Frusta.Contracts.Limits;
using Frusta.Controller.Api;
using Microsoft.Extensions.Time.Testing;

namespace Frusta.Controller.Tests.Api;

/// <summary>Answers to clients that take them slowly, not at all, or as fast as they come.</summary>
public sealed class SendAnswerTests
{
    private const int Kibibyte = 1024;
    private const int Mebibyte = 1024 * Kibibyte;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly FakeTimeProvider _clock = new();
    private readonly ByteBudget _budget = new(new ByteBudgetOptions { MaxBytes = 256 * Mebibyte, MaxSmallBytes = 16 * Mebibyte });

    public static TheoryData<int, string> Ends
    {
        get
        {
            var ends = new TheoryData<int, string>();
            foreach (var bytes in new[] { 2 * Mebibyte, 2000 })
            {
                foreach (var end in new[] { "the client resets", "the connection is ended", "the client is cut off" })
                {
                    ends.Add(bytes, end);
                }
            }

            return ends;
        }
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task What_a_client_did_not_take_is_given_back_when_it_goes(int bytes, string end)
    {
        using var client = new UnreadResponse(reads: false);
        var body = PooledBuffer.Copy(new byte[bytes]);
        var sending = SendAnswer.SendAsync(client.Context, body.Memory, body, Room());
        await client.Waiting;
        Assert.Equal(bytes, _budget.HeldBytes);

        if (end.EndsWith("resets", StringComparison.Ordinal))
        {
            client.Reset();
        }
        else if (end.EndsWith("ended", StringComparison.Ordinal))
        {
            client.Abort();
        }

        while (end.EndsWith("cut off", StringComparison.Ordinal) && !sending.IsCompleted)
        {
            _clock.Advance(Patience);
            await Task.Yield();
        }

        await EndAsync(sending);
        Assert.Equal(0, _budget.HeldBytes);
    }

    [Fact]
    public async Task A_client_that_finds_no_room_is_cut_off_and_holds_nothing()
    {
        using var other = _budget.Of("a").Begin();
        Assert.True(other.TryHold(63 * Mebibyte));
        using var client = new UnreadResponse(reads: false);
        await EndAsync(SendAnswer.SendAsync(client.Context, new byte[2 * Mebibyte], owner: null, Room()));

        Assert.True(client.RequestAborted.IsCancellationRequested);
        Assert.Equal(63 * Mebibyte, _budget.HeldBytes);
    }

    /// <summary>As code of an action, whose length is not known before it is escaped.</summary>
    [Fact]
    public async Task What_is_held_are_all_bytes_that_the_answer_keeps()
    {
        using var client = new UnreadResponse(reads: false);
        var entity = PooledBuffer.Copy(new byte[4 * Mebibyte]);
        var sending = SendAnswer.SendAsync(client.Context, new EntityWithCode(entity, 1000, new byte[1000], owner: null), lease: null, Room());
        await client.Waiting;
        Assert.InRange(_budget.HeldBytes, 4 * Mebibyte, 5 * Mebibyte);

        client.Abort();
        await EndAsync(sending);
        Assert.Equal(0, _budget.HeldBytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_takes_all_at_once_has_the_thread_for_one_turn_and_gets_pieces_of_64_KiB(bool asWindow)
    {
        var bytes = new byte[8 * Mebibyte];
        new Random(1).NextBytes(bytes);
        using var client = new UnreadResponse(reads: true);
        Task? sending = null;
        var loop = new Thread(() => sending = SendAnswer.SendAsync(
            client.Context, asWindow ? new OneWindow(bytes) : new WholeBytes(default, bytes, default, owner: null), lease: null, Room()));
        loop.Start();
        loop.Join();
        await sending!;

        Assert.Equal(bytes, client.Body.ToArray());
        Assert.InRange(client.Writes.Max(static write => write.Bytes), 16 * Kibibyte, 64 * Kibibyte);
        Assert.InRange(client.Writes.TakeWhile(write => write.Thread == client.Writes[0].Thread).Sum(static write => write.Bytes), 64 * Kibibyte, 320 * Kibibyte);
    }

    [Fact]
    public async Task What_an_answer_holds_is_given_back_when_the_client_has_gone_before()
    {
        using var client = new UnreadResponse(reads: true);
        client.Abort();
        var body = PooledBuffer.Copy(new byte[2000]);
        await EndAsync(Task.Run(() => SendAnswer.SendAsync(client.Context, body.Memory, body, Room()), TestContext.Current.CancellationToken));

        Assert.Equal(0, body.Length);
        Assert.Empty(client.Writes);
    }

    private AnswerBounds Room() => new(_budget.Of("a"), Patience, _clock);

    private static async Task EndAsync(Task sending)
    {
        try
        {
            await sending;
        }
        catch (OperationCanceledException)
        {
            // So it ends for a client that is gone.
        }
    }

    /// <summary>A body that is put into the window at once, as a page of a list is.</summary>
    private sealed class OneWindow(byte[] bytes) : AnswerParts
    {
        public override ValueTask<AnswerPart> NextAsync(PooledBuffer window, CancellationToken cancellationToken)
        {
            window.Write(bytes);
            return new(new AnswerPart(default, IsText: false, IsLast: true));
        }

        public override void Dispose()
        {
        }
    }
}
