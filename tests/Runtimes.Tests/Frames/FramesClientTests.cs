using System.Buffers.Binary;
using Frusta.Contracts.Names;
using Frusta.Runtimes.Frames;
using Frusta.Sandboxes;
using Frusta.Sandboxes.Processes;
using Frusta.Sockets;

namespace Frusta.Runtimes.Tests.Frames;

public sealed class FramesClientTests : IDisposable
{
    private const int HeaderBytes = 24;

    private readonly EventLoops _loops = new(1);
    private readonly List<IDisposable> _opened = [];

    public void Dispose()
    {
        _opened.ForEach(static opened => opened.Dispose());
        _loops.Dispose();
    }

    /// <summary>All of both answers is there before the loop looks, the long one first.</summary>
    [Fact]
    public async Task A_long_answer_is_received_in_turns_between_which_neighbours_have_theirs()
    {
        var (longOne, longSide) = Open();
        var (neighbour, neighbourSide) = Open();
        longSide.Control(read: false, OtherSide.GrowOrShrink, 1024 * 1024);
        using var held = new Holder(_loops);
        var longRun = longOne.RunAsync(ActivationId.New(TimeProvider.System), new byte[1], CancellationToken.None).AsTask();
        var leftMeanwhile = LeftMeanwhileAsync();
        held.Hold();
        Answer(longSide, 900_000);
        Answer(neighbourSide, 2);

        held.Release();

        Assert.InRange(await leftMeanwhile, 1, 900_000);
        using var body = (await longRun).Body;
        Assert.Equal(900_000, body!.Length);

        async Task<int> LeftMeanwhileAsync()
        {
            var answer = await neighbour.RunAsync(ActivationId.New(TimeProvider.System), new byte[1], CancellationToken.None).ConfigureAwait(false);
            answer.Body!.Dispose();
            return OutputPipe.Count(longSide.Answers);
        }
    }

    /// <summary>A client whose runner has said hello, and that runner's side.</summary>
    private (FramesClient Client, OtherSide Side) Open()
    {
        var side = new OtherSide();
        var client = new FramesClient(new SandboxChannel(side.Requests, side.Answers), WordsOfEnd.None, LiveRuntimes.MaxResultBytes, _loops);
        side.Write(Frame(type: 1, new byte[16], 2));
        client.Start();
        Assert.NotEmpty(client.Hello);
        _opened.AddRange([client, side]);
        return (client, side);
    }

    private static void Answer(OtherSide side, int bytes)
    {
        Assert.Equal(HeaderBytes + 1, side.Read(4096));
        side.Write(Frame(type: 4, side.LastRead.AsSpan(8, 16), bytes));
    }

    private static byte[] Frame(byte type, ReadOnlySpan<byte> id, int bytes)
    {
        var frame = new byte[HeaderBytes + bytes];
        BinaryPrimitives.WriteInt32LittleEndian(frame, bytes);
        (frame[4], frame[5]) = (1, type);
        id.CopyTo(frame.AsSpan(8));
        frame.AsSpan(HeaderBytes).Fill((byte)'1');
        return frame;
    }

    /// <summary>Keeps the thread of the loop.</summary>
    private sealed class Holder : ReadyPipes
    {
        private readonly OtherSide _side;
        private readonly ManualResetEventSlim _isHeld = new();
        private readonly ManualResetEventSlim _release = new();

        public Holder(EventLoops loops)
            : this(new OtherSide(), loops)
        {
        }

        private Holder(OtherSide side, EventLoops loops)
            : base(side.Answers, side.Requests, loops)
        {
            _side = side;
            Watch();
            Receive(new byte[1]);
            Assert.True(TryAwait());
        }

        public void Hold()
        {
            _side.Write("?"u8);
            _isHeld.Wait(TestContext.Current.CancellationToken);
        }

        public void Release() => _release.Set();

        protected override void OnReadable()
        {
            _isHeld.Set();
            _release.Wait();
        }

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            _side.Dispose();
        }
    }
}
