using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Frusta.Sockets.Http;

/// <summary>What Kestrel knows of one client's connection.</summary>
internal sealed class SocketConnection : ConnectionContext
{
    private readonly StreamSocket _socket;
    private readonly CancellationTokenSource _closed = new();
    private readonly Action _freed;
    private int _told;
    private int _isFreed;

    /// <param name="socket">Connected; from now on this one's.</param>
    /// <param name="loops">One of them watches it.</param>
    /// <param name="number">Tells it from others.</param>
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

    /// <exception cref="IOException">It cannot be watched.</exception>
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
            _ = _closed.CancelAsync(); // whoever listens may do much, or fail: on the pool, not on the loop's thread
        }
    }
}
