using System.Net;
using Frusta.Controller.Api;
using Frusta.Server.Configuration;
using Frusta.Sockets;

namespace Frusta.Server.Doors;

/// <summary>Where the server listens: the API's door, and for functions in sandboxes their own, which serves the API alone.</summary>
internal sealed class ApiDoors : IAsyncDisposable
{
    private readonly ApiListener _outer;
    private readonly ApiListener? _inner;

    /// <param name="options">Address and bounds.</param>
    /// <param name="inner">Address of the functions' door; null where they reach none.</param>
    /// <param name="room">How many connections each door takes.</param>
    /// <param name="loops">The event loops that the connections are on.</param>
    /// <param name="loggers">For the doors' log.</param>
    public ApiDoors(ServerOptions options, IPEndPoint? inner, ConnectionBound room, EventLoops loops, ILoggerFactory loggers)
    {
        _outer = new ApiListener(new IPEndPoint(IPAddress.Parse(options.Host), options.Port), options, room.Api, loops, loggers);
        _inner = inner is null ? null : new ApiListener(inner, options, room.Sandboxes, loops, loggers);
    }

    /// <summary>The API's port, after the opening.</summary>
    public int Port => _outer.Port;

    /// <exception cref="StartRefusedException">An address is taken or not this machine's.</exception>
    public async Task OpenAsync(RestApi api, RestApi innerApi)
    {
        await _outer.StartAsync(api.HandleAsync, CancellationToken.None);
        if (_inner is not null)
        {
            await _inner.StartAsync(context => SandboxDoor.HandleAsync(context, innerApi), CancellationToken.None);
        }
    }

    /// <summary>Takes no new connection and lets the running requests end until the token says stop.</summary>
    public async Task CloseAsync(CancellationToken cancellationToken)
    {
        await _outer.StopAsync(cancellationToken);
        if (_inner is not null)
        {
            await _inner.StopAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_inner is not null)
        {
            await _inner.DisposeAsync();
        }

        await _outer.DisposeAsync();
    }
}
