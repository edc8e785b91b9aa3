using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Frusta.Sockets.Http;

/// <summary>One client's connection, as Kestrel sees it.</summary>
internal sealed class SocketConnection : ConnectionContext
{
    private readonly StreamSocket _socket;
    private readonly CancellationTokenSource _closed = new();
    private readonly Action _freed;
    private int _told;
    private int _isFreed;

    /// <param name="socket">Connected; the connection owns it from now on.</param>
    /// <param name="loops">One of them watches the socket.</param>
    /// <param name="number">Tells the connection from others of its listener.</param>
    /// <param name="freed">Called once, when the socket's descriptor is free again.</param>
    public SocketConnection(Socket socket, EventLoops loops, long number, Action freed)
    {
        _freed = freed;
        ConnectionId = FormattableString.Invariant($"c{number}");
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        _socket = new StreamSocket(socket, loops, TellClosed);
        Transport = _socket;
        ConnectionClosed = _closed.Token;
    }

    public override string ConnectionId { get; set; }

    public override IFeatureCollection Features { get; } = new FeatureCollection();

    public override IDictionary<object, object?> Items { get => field ??= new ConnectionItems(); set; }

    public override IDuplexPipe Transport { get; set; }

    public override CancellationToken ConnectionClosed { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override EndPoint? RemoteEndPoint { get; set; }

    /// <exception cref="IOException">The socket cannot be watched.</exception>
    public void Start() => _socket.Start();

    public override void Abort(ConnectionAbortedException abortReason) => _socket.Abort();

    public override async ValueTask DisposeAsync()
    {
        await _socket.Input.CompleteAsync();
        await _socket.Output.CompleteAsync();
        _socket.Close();
        if (Interlocked.Exchange(ref _isFreed, 1) == 0)
        {
            _freed();
        }

        TellClosed();
        await base.DisposeAsync();
    }

    private void TellClosed()
    {
        if (Interlocked.Exchange(ref _told, 1) == 0)
        {
            _ = _closed.CancelAsync(); // listeners may do much, or fail: they run on the thread pool, not on the loop's thread
        }
    }
}
