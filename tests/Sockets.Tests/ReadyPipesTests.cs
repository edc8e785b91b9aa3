using System.Collections.Concurrent;

namespace Frusta.Sockets.Tests;

/// <summary>Whoever holds the other ends of the pipes may do to them what he likes: it never makes a call here wait.</summary>
public sealed class ReadyPipesTests : IDisposable
{
    private readonly EventLoops _loops = new(1);
    private readonly OtherSide _other = new();
    private readonly Peer _peer;

    public ReadyPipesTests() => _peer = new Peer(_other, _loops);

    public void Dispose()
    {
        _peer.Dispose();
        _other.Dispose();
        _loops.Dispose();
    }

    [Fact]
    public async Task What_is_written_arrives_in_order_and_so_does_the_end()
    {
        _other.Write("one"u8);
        Assert.Equal("one", await _peer.TextAsync(3));
        _other.Write("two"u8);
        Assert.Equal("two", await _peer.TextAsync(3));

        _other.CloseWrite();

        Assert.Equal(0, await _peer.EndAsync());
    }

    [Theory]
    [InlineData(4096)]
    [InlineData(64 * 1024)]
    [InlineData(1024 * 1024)]
    public async Task A_side_that_does_not_read_takes_what_its_pipe_holds_and_room_is_told_when_it_reads(int holds)
    {
        _other.Control(read: true, OtherSide.GrowOrShrink, holds);
        var sent = _peer.SendUntilFull();
        Assert.Equal(holds, sent);

        var room = _peer.AwaitRoomAsync();
        Assert.False(room.IsCompleted);
        _other.Read(4096);

        await room;
        Assert.Equal(4096, _peer.SendUntilFull());
    }

    /// <summary>The flags belong to the other side's own ends.</summary>
    [Theory]
    [InlineData(OtherSide.NonBlocking)]
    [InlineData(OtherSide.Packets)]
    [InlineData(OtherSide.NonBlocking | OtherSide.Packets)]
    [InlineData(0)]
    public async Task The_flags_of_the_other_ends_change_nothing_on_this_side(int flags)
    {
        _other.Control(read: true, OtherSide.SetFlags, flags);
        _other.Control(read: false, OtherSide.SetFlags, flags);

        Assert.Equal(64 * 1024, _peer.SendUntilFull());
        _other.Write("still"u8);
        Assert.Equal("still", await _peer.TextAsync(5));
        _other.Write("here"u8);
        Assert.Equal("here", await _peer.TextAsync(4));
    }

    [Fact]
    public void A_pipe_that_nobody_reads_any_more_is_broken_and_ends_nobody()
    {
        _other.CloseRead();

        Assert.Equal(Peer.IsBroken, _peer.SendOnce());
    }

    [Fact]
    public async Task Who_waits_for_room_is_told_when_the_other_side_closes()
    {
        _peer.SendUntilFull();
        var room = _peer.AwaitRoomAsync();

        _other.CloseRead();

        await room;
        Assert.Equal(Peer.IsBroken, _peer.SendOnce());
    }

    [Fact]
    public async Task Nothing_is_sent_once_this_side_was_shut_and_who_waits_is_told()
    {
        _peer.SendUntilFull();
        var room = _peer.AwaitRoomAsync();

        _peer.ShutNow();

        await room;
        Assert.Equal(Peer.IsBroken, _peer.SendOnce());
        Assert.Equal(64 * 1024, _other.Read(1 << 20));
        Assert.Equal(0, _other.Read(1)); // the end
        await _peer.AwaitRoomAsync();
    }

    /// <summary>What is sent belongs to somebody else as soon as the side is shut.</summary>
    [Fact]
    public async Task No_byte_is_being_sent_when_the_shut_returns()
    {
        for (var round = 0; round < 1000; round++)
        {
            using var other = new OtherSide();
            using var peer = new Peer(other, _loops);
            other.Control(read: true, OtherSide.GrowOrShrink, 1024 * 1024);
            var request = new byte[1024 * 1024];
            var begun = 0;
            var sending = Task.Run(() =>
            {
                Volatile.Write(ref begun, 1);
                peer.SendOnce(request);
            }, TestContext.Current.CancellationToken);
            while (Volatile.Read(ref begun) == 0)
            {
                Thread.SpinWait(1); // to sleep would be to miss it
            }

            Thread.SpinWait(round % 100 * 20);

            peer.ShutNow();
            Array.Fill(request, (byte)1);

            await sending;
            for (int count; (count = other.Read(1 << 20)) > 0;)
            {
                Assert.Equal(-1, other.LastRead.AsSpan(0, count).IndexOf((byte)1));
            }
        }
    }

    [Fact]
    public async Task A_side_that_writes_without_pause_leaves_its_turn_to_the_others()
    {
        using var quiet = new OtherSide();
        using var neighbour = new Peer(quiet, _loops);
        var flood = new byte[1024 * 1024];
        _other.Control(read: false, OtherSide.GrowOrShrink, flood.Length);
        _peer.TakesTurns = true;
        var flooding = Task.Run(() =>
        {
            for (var i = 0; i < 500; i++)
            {
                _other.Write(flood);
            }
        }, TestContext.Current.CancellationToken);

        var answered = 0;
        var began = TimeProvider.System.GetTimestamp();
        while (!flooding.IsCompleted)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromMinutes(1), "What is written is not received any more.");
            quiet.Write("?"u8);
            Assert.Equal("?", await neighbour.TextAsync(1));
            answered++;
        }

        await flooding;
        Assert.InRange(_peer.LongestTurn, 1, Peer.BytesATurn + Peer.BufferBytes);
        Assert.True(answered > 1);
    }

    /// <summary>Says what it receives.</summary>
    private sealed class Peer : ReadyPipes
    {
        public const int IsBroken = Broken;
        public const int BytesATurn = 128 * 1024;
        public const int BufferBytes = 64 * 1024;

        private readonly byte[] _received = new byte[BufferBytes];
        private readonly BlockingCollection<byte> _bytes = [];
        private readonly TaskCompletionSource<int> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private TaskCompletionSource? _room;

        public Peer(OtherSide other, EventLoops loops)
            : base(other.Answers, other.Requests, loops)
        {
            Watch();
            OnReadable();
        }

        /// <summary>Throws away what comes, and leaves the loop to others after so many bytes.</summary>
        public bool TakesTurns { get; set; }

        public long LongestTurn { get; private set; }

        public Task<string> TextAsync(int length) => Task.Run(() =>
            new string([.. Enumerable.Range(0, length).Select(_ => (char)_bytes.Take(TestContext.Current.CancellationToken))]));

        public Task<int> EndAsync() => _end.Task;

        public int SendOnce() => Send("?"u8);

        public int SendOnce(byte[] bytes) => Send(bytes);

        public int SendUntilFull()
        {
            var bytes = new byte[4096];
            var sent = 0;
            for (int count; (count = Send(bytes)) > 0; sent += count)
            {
            }

            return sent;
        }

        public Task AwaitRoomAsync()
        {
            _room = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            AwaitWritable();
            return _room.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        }

        public void ShutNow() => Shut();

        protected override void OnWritable() => _room?.TrySetResult();

        protected override void OnReadable()
        {
            long turn = 0;
            do
            {
                int count;
                while ((count = Receive(_received)) > 0)
                {
                    turn += count;
                    LongestTurn = Math.Max(LongestTurn, turn);
                    if (TakesTurns && turn >= BytesATurn && MayReceive)
                    {
                        AwaitTurn();
                        return;
                    }

                    for (var i = 0; i < count && !TakesTurns; i++)
                    {
                        _bytes.Add(_received[i]);
                    }
                }

                if (count is 0 or Broken)
                {
                    _end.TrySetResult(count);
                    return;
                }
            }
            while (!TryAwait());
        }
    }
}
