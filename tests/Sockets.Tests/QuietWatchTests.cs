using System.IO.Pipes;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Frusta.Sockets.Tests;

public sealed class QuietWatchTests
{
    /// <summary>Somebody writes to a pipe, or does not, and then to the socket: whoever reads the socket must know of the pipe.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task What_came_before_the_bytes_of_a_socket_is_known_when_they_are_received(int seed)
    {
        var random = new Random(seed);
        using var loops = new EventLoops(1);
        using var pipes = new TwoPipes();
        var (client, peer) = await ConnectAsync(loops, pipes.One, pipes.Other);
        using var clientEnd = client;
        using var serverEnd = peer;
        var isArmed = false;
        for (var round = 0; round < 4000; round++)
        {
            if (!isArmed || random.Next(3) == 0)
            {
                pipes.Drain();
                peer.Quiet.Arm();
                isArmed = true;
            }

            var isWritten = random.Next(2) == 0;
            if (isWritten)
            {
                pipes.Write(random.Next(2));
            }

            client.Send("x"u8);

            var isQuiet = await peer.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken);
            Assert.True(isQuiet == !isWritten, $"Round {round}: written {isWritten}, quiet {isQuiet}.");
            isArmed = isQuiet;
        }
    }

    [Fact]
    public async Task What_was_there_when_the_watch_began_is_known_too()
    {
        using var loops = new EventLoops(1);
        using var pipes = new TwoPipes();
        var (client, peer) = await ConnectAsync(loops, pipes.One, pipes.Other);
        using var clientEnd = client;
        using var serverEnd = peer;
        pipes.Write(1);

        peer.Quiet.Arm();
        client.Send("x"u8);

        Assert.False(await peer.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Nobody_but_the_thread_of_the_loop_is_told_that_it_is_quiet()
    {
        using var loops = new EventLoops(1);
        using var pipes = new TwoPipes();
        var (client, peer) = await ConnectAsync(loops, pipes.One, pipes.Other);
        using var clientEnd = client;
        using var serverEnd = peer;
        peer.Quiet.Arm();
        client.Send("x"u8);

        Assert.True(await peer.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken));
        Assert.False(peer.Quiet.IsQuiet);
    }

    [Fact]
    public async Task What_the_kernel_cannot_watch_is_never_quiet_and_neither_is_a_watch_that_has_ended()
    {
        using var loops = new EventLoops(1);
        using var pipes = new TwoPipes();
        using var file = File.OpenHandle(typeof(QuietWatchTests).Assembly.Location);
        var (client, peer) = await ConnectAsync(loops, pipes.One, file);
        using var clientEnd = client;
        using var serverEnd = peer;
        peer.Quiet.Arm();
        client.Send("x"u8);
        Assert.False(await peer.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken));

        var (another, second) = await ConnectAsync(loops, pipes.One, pipes.Other);
        using var anotherEnd = another;
        using var secondEnd = second;
        second.Quiet.Arm();
        second.Quiet.Dispose();
        another.Send("x"u8);

        Assert.False(await second.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken));
    }

    private static async Task<(Socket Client, Peer Peer)> ConnectAsync(EventLoops loops, SafeHandle one, SafeHandle other)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await client.ConnectAsync(listener.LocalEndPoint!, TestContext.Current.CancellationToken);
        return (client, new Peer(await listener.AcceptAsync(TestContext.Current.CancellationToken), loops, one, other));
    }

    /// <summary>Says for each receive whether the watch was quiet.</summary>
    private sealed class Peer : ReadySocket
    {
        private readonly byte[] _received = new byte[64];

        public Peer(Socket socket, EventLoops loops, SafeHandle one, SafeHandle other)
            : base(socket, loops)
        {
            Quiet = Beside(one, other);
            Watch();
            OnReadable();
        }

        public QuietWatch Quiet { get; }

        public Channel<bool> Seen { get; } = Channel.CreateBounded<bool>(1);

        protected override void OnReadable()
        {
            do
            {
                while (Receive(_received) > 0)
                {
                    Seen.Writer.TryWrite(Quiet.IsQuiet);
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
