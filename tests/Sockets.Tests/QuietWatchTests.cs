using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sockets.Tests;

public sealed class QuietWatchTests
{
    /// <summary>Somebody writes to a pipe, or does not, and then to the channel: whoever reads the channel must know of the pipe.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task What_came_before_the_bytes_of_a_channel_is_known_when_they_are_received(int seed)
    {
        var random = new Random(seed);
        using var scene = await Scene.OpenAsync();
        var isArmed = false;
        for (var round = 0; round < 4000; round++)
        {
            if (!isArmed || random.Next(3) == 0)
            {
                scene.Pipes.Drain();
                scene.Peer.Quiet.Arm();
            }

            scene.Peer.Quiet.Begin();
            var isWritten = random.Next(2) == 0;
            if (isWritten)
            {
                scene.Pipes.Write(random.Next(2));
            }

            scene.Send();

            var isQuiet = await scene.IsQuietAsync();
            Assert.True(isQuiet == !isWritten, $"Round {round}: written {isWritten}, quiet {isQuiet}.");
            isArmed = isQuiet;
        }
    }

    [Fact]
    public async Task What_was_there_when_the_watch_began_is_known_too()
    {
        using var scene = await Scene.OpenAsync();
        scene.Pipes.Write(1);
        scene.Peer.Quiet.Arm();
        scene.Peer.Quiet.Begin();

        scene.Send();

        Assert.False(await scene.IsQuietAsync());
    }

    /// <summary>The first bytes are there when the socket is watched, or come long after and are taken by another thread before their report.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_report_of_bytes_that_were_taken_without_it_does_not_vouch_for_the_pipes(bool early)
    {
        using var loops = new EventLoops(1);
        using var other = await Scene.OpenAsync(loops);
        using var late = early ? null : await Scene.OpenAsync(loops, start: Start.Unread);
        for (var drain = 0; drain < 3; drain++)
        {
            other.Send();
            await other.IsQuietAsync();
        }

        using var held = new ManualResetEventSlim();
        other.Peer.Received = _ => held.Wait(TestContext.Current.CancellationToken);
        other.Send();
        await other.IsQuietAsync(); // the loop's thread is held up, so that it takes no report for now

        using var scene = late ?? await Scene.OpenAsync(loops, start: Start.Spoken);
        if (!early)
        {
            scene.Send();
            scene.ReceiveHere();
        }

        await scene.IsQuietAsync();
        scene.Peer.Quiet.Arm();
        scene.Peer.Quiet.Begin();
        scene.Pipes.Write(1);
        scene.Send();
        held.Set();

        Assert.False(await scene.IsQuietAsync());
    }

    [Fact]
    public async Task Bytes_that_are_received_without_a_report_do_not_vouch_for_the_pipes()
    {
        using var scene = await Scene.OpenAsync();
        scene.Peer.Quiet.Arm();
        scene.Peer.Received = count =>
        {
            if (count == Peer.BufferBytes)
            {
                scene.Peer.Quiet.Begin();
                scene.Pipes.Write(0);
                scene.Send();
            }
        };
        scene.Send(Peer.BufferBytes);
        await scene.IsQuietAsync();

        Assert.False(await scene.IsQuietAsync());
    }

    [Fact]
    public async Task Nobody_but_the_thread_of_the_loop_is_told_that_it_is_quiet()
    {
        using var scene = await Scene.OpenAsync();
        scene.Peer.Quiet.Arm();
        scene.Peer.Quiet.Begin();

        scene.Send();

        Assert.True(await scene.IsQuietAsync());
        Assert.False(scene.Peer.Quiet.IsQuiet);
    }

    [Fact]
    public async Task What_the_kernel_cannot_watch_is_never_quiet()
    {
        using var file = File.OpenHandle(typeof(QuietWatchTests).Assembly.Location);
        using var scene = await Scene.OpenAsync(second: file);
        scene.Peer.Quiet.Arm();
        scene.Peer.Quiet.Begin();

        scene.Send();

        Assert.False(await scene.IsQuietAsync());
    }

    [Fact]
    public async Task A_watch_that_has_ended_is_not_quiet()
    {
        using var scene = await Scene.OpenAsync();
        scene.Peer.Quiet.Arm();
        scene.Peer.Quiet.Dispose();
        scene.Peer.Quiet.Begin();

        scene.Send();

        Assert.False(await scene.IsQuietAsync());
    }

    private enum Start
    {
        /// <summary>The peer has received so often that what is reported to it is in order.</summary>
        InOrder,

        /// <summary>Bytes were there before the peer was watched.</summary>
        Spoken,

        /// <summary>The peer is watched, and has not tried to receive.</summary>
        Unread,
    }

    /// <summary>A channel with its other side, and two pipes that are watched beside it.</summary>
    private sealed class Scene : IDisposable
    {
        private readonly OtherSide _otherSide;
        private readonly EventLoops? _ownLoops;

        private Scene(OtherSide otherSide, EventLoops? loops, SafeHandle? second)
        {
            _otherSide = otherSide;
            _ownLoops = loops is null ? new EventLoops(1) : null;
            Peer = new Peer(otherSide.Answers, otherSide.Requests, loops ?? _ownLoops!, Pipes.One, second ?? Pipes.Other);
        }

        public TwoPipes Pipes { get; } = new();

        public Peer Peer { get; }

        /// <param name="loops">Whose loop watches; null for one of its own.</param>
        /// <param name="second">What is watched in place of the second pipe.</param>
        /// <param name="start">What has happened before.</param>
        public static async Task<Scene> OpenAsync(EventLoops? loops = null, SafeHandle? second = null, Start start = Start.InOrder)
        {
            var otherSide = new OtherSide();
            if (start == Start.Spoken)
            {
                otherSide.Write("x"u8);
            }

            var scene = new Scene(otherSide, loops, second);
            if (start == Start.Unread)
            {
                return scene;
            }

            scene.Peer.ReceiveHere();
            if (start == Start.Spoken)
            {
                return scene;
            }

            for (var i = 0; i < 2; i++)
            {
                scene.Send();
                Assert.False(await scene.IsQuietAsync());
            }

            return scene;
        }

        /// <summary>Receives what has been sent on this thread.</summary>
        public void ReceiveHere() => Peer.ReceiveHere();

        public void Send(int bytes = 1) => _otherSide.Write(new byte[bytes]);

        /// <summary>What the peer was told when it next received something.</summary>
        public ValueTask<bool> IsQuietAsync() => Peer.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken);

        public void Dispose()
        {
            _ownLoops?.Dispose();
            Peer.Dispose();
            _otherSide.Dispose();
            Pipes.Dispose();
        }
    }

    /// <summary>Says for each receive whether the watch was quiet.</summary>
    private sealed class Peer : ReadyPipes
    {
        public const int BufferBytes = 64;

        private readonly byte[] _received = new byte[BufferBytes];

        public Peer(SafeFileHandle from, SafeFileHandle to, EventLoops loops, SafeHandle one, SafeHandle other)
            : base(from, to, loops)
        {
            Quiet = Beside(one, other);
            Watch();
        }

        public QuietWatch Quiet { get; }

        public Channel<bool> Seen { get; } = Channel.CreateBounded<bool>(2);

        /// <summary>Called on the thread that received, with how much.</summary>
        public Action<int> Received { get; set; } = static _ => { };

        /// <summary>Receives on this thread, until the loop's takes over.</summary>
        public void ReceiveHere() => OnReadable();

        protected override void OnReadable()
        {
            do
            {
                int count;
                while ((count = Receive(_received)) > 0)
                {
                    Seen.Writer.TryWrite(Quiet.IsQuiet);
                    Received(count);
                }
            }
            while (!TryAwait());
        }
    }

    private sealed class TwoPipes : IDisposable
    {
        private readonly AnonymousPipeServerStream[] _in = [new(PipeDirection.In), new(PipeDirection.In)];
        private readonly AnonymousPipeClientStream[] _out;
        private readonly int[] _held = new int[2];

        public TwoPipes() => _out = [.. _in.Select(static pipe => new AnonymousPipeClientStream(PipeDirection.Out, pipe.ClientSafePipeHandle))];

        public SafeHandle One => _in[0].SafePipeHandle;

        public SafeHandle Other => _in[1].SafePipeHandle;

        public void Write(int pipe)
        {
            _out[pipe].WriteByte(1);
            _held[pipe]++;
        }

        public void Drain()
        {
            for (var pipe = 0; pipe < 2; pipe++)
            {
                for (; _held[pipe] > 0; _held[pipe]--)
                {
                    _in[pipe].ReadByte();
                }
            }
        }

        public void Dispose()
        {
            for (var pipe = 0; pipe < 2; pipe++)
            {
                _out[pipe].Dispose();
                _in[pipe].Dispose();
            }
        }
    }
}
