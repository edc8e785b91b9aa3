using System.Net;
using System.Net.Sockets;
using Frusta.Sockets.Http;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sockets.Tests;

/// <summary>A connection as Kestrel gets it, and the client at its other end.</summary>
internal sealed class Pair : IAsyncDisposable
{
    private readonly EventLoops _loops;
    private readonly IConnectionListener _listener;

    private Pair(EventLoops loops, IConnectionListener listener, Socket client, ConnectionContext server)
    {
        _loops = loops;
        _listener = listener;
        Client = client;
        Server = server;
    }

    public Socket Client { get; }

    public ConnectionContext Server { get; }

    public static async Task<Pair> ConnectAsync(int sendBuffer = 0)
    {
        var loops = new EventLoops(1);
        var transport = new SocketTransport(loops, 1000, TimeProvider.System, NullLogger<SocketTransport>.Instance);
        var listener = await transport.BindAsync(new IPEndPoint(IPAddress.Loopback, 0), TestContext.Current.CancellationToken);
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (sendBuffer > 0)
        {
            client.SendBufferSize = client.ReceiveBufferSize = sendBuffer;
        }

        await client.ConnectAsync(listener.EndPoint, TestContext.Current.CancellationToken);
        var server = await listener.AcceptAsync(TestContext.Current.CancellationToken);
        return new Pair(loops, listener, client, server!);
    }

    /// <summary>One more client, on the same loop.</summary>
    public async Task<(Socket Client, ConnectionContext Server)> ConnectAnotherAsync()
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await client.ConnectAsync(_listener.EndPoint, TestContext.Current.CancellationToken);
        return (client, (await _listener.AcceptAsync(TestContext.Current.CancellationToken))!);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Server.DisposeAsync();
        await _listener.DisposeAsync();
        _loops.Dispose();
    }
}
