using System.Net;
using Frusta.Controller.Api;
using Frusta.Server.Configuration;
using Frusta.Sockets;

namespace Frusta.Server.Doors;

/// <summary>The addresses on which the server listens: the API's door, and a door of their own for functions in sandboxes, which serves nothing but the API.</summary>
internal sealed class ApiDoors : IAsyncDisposable
{
    private readonly ApiListener _outer;
    private readonly ApiListener? _inner;

    /// <param name="options">Address and bounds.</param>
    /// <param name="inner">Address of the functions' door; null where sandboxes have no network of their own.</param>
    /// <param name="room">How many connections each door takes.</param>
    /// <param name="loops">The event loops that the connections are on.</param>
    /// <param name="loggers">Makes the doors' loggers.</param>
    public ApiDoors(ServerOptions options, IPEndPoint? inner, ConnectionBound room, EventLoops loops, ILoggerFactory loggers)
    {
        _outer = new ApiListener(new IPEndPoint(IPAddress.Parse(options.Host), options.Port), options, room.Api, loops, loggers);
        _inner = inner is null ? null : new ApiListener(inner, options, room.Sandboxes, loops, loggers);
    }

    /// <summary>The API's port; valid after <see cref="OpenAsync"/>.</summary>
    public int Port => _outer.Port;

    /// <summary>Listens from now on.</summary>
    /// <param name="api">Serves callers from outside.</param>
    /// <param name="innerApi">Serves functions in sandboxes.</param>
    /// <exception cref="StartRefusedException">An address is taken or not this machine's.</exception>
    public async Task OpenAsync(RestApi api, RestApi innerApi)
    {
        await _outer.StartAsync(api.HandleAsync, CancellationToken.None);
        if (_inner is not null)
        {
            await _inner.StartAsync(context => SandboxDoor.HandleAsync(context, innerApi), CancellationToken.None);
        }
    }

    /// <summary>Takes no new connection, and lets running requests end until the token is cancelled; then it breaks them off.</summary>
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
