using System.IO.Pipelines;
using System.Net.Sockets;

namespace Frusta.Sockets.Http;

/// <summary>One client's connection as the two pipes that Kestrel speaks through, without a copy or a thread between them and the socket.</summary>
internal sealed class StreamSocket : ReadySocket, IDuplexPipe
{
    /// <summary>The result of <see cref="ReceiveInto"/> and <see cref="SendFrom"/> when they would have to wait.</summary>
    internal const int NothingNow = WouldBlock;

    private readonly SocketInput _input;
    private readonly SocketOutput _output;
    private readonly Action _closed;

    /// <param name="socket">Connected; this object owns it from now on.</param>
    /// <param name="loops">One of them watches the socket.</param>
    /// <param name="closed">Called, perhaps several times and on the loop's thread, when the client closed its end or the connection broke.</param>
    public StreamSocket(Socket socket, EventLoops loops, Action closed)
        : base(socket, loops)
    {
        _input = new SocketInput(this);
        _output = new SocketOutput(this);
        _closed = closed;
    }

    public PipeReader Input => _input;

    public PipeWriter Output => _output;

    public void Start() => Watch();

    /// <summary>Breaks the connection; a read or flush that waits for the client ends.</summary>
    public void Abort() => Shut();

    /// <summary>
    /// Closes in good order: unread bytes are received and dropped first. The kernel would otherwise break the connection, and the client could
    /// lose the last answer.
    /// </summary>
    public void Close()
    {
        Span<byte> unread = stackalloc byte[4096];
        for (var i = 0; i < 64 && Receive(unread) > 0; i++)
        {
        }

        Shut();
        Dispose();
    }

    internal int ReceiveInto(Span<byte> buffer)
    {
        var count = Receive(buffer);
        if (count is 0 or Broken)
        {
            _closed();
        }

        return count;
    }

    internal int SendFrom(ReadOnlySpan<byte> bytes) => Send(bytes);

    internal bool TryAwaitInput() => TryAwait();

    internal void AwaitInputInTurn() => AwaitTurn();

    internal bool TryTakeBackInput() => TryTakeBack();

    internal void AwaitRoom() => AwaitWritable();

    protected override void OnReadable() => _input.Arrived();

    protected override void OnWritable() => _output.RoomCame();

    protected override void OnOtherSideClosed() => _closed();
}
