using System.Net;
using System.Net.Sockets;
using Frusta.Server.Configuration;
using Frusta.Sockets;
using Frusta.Sockets.Http;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Frusta.Server.Doors;

/// <summary>One Kestrel on one address, with the bounds of <see cref="ServerOptions"/>.</summary>
public sealed class ApiListener : IAsyncDisposable
{
    private readonly KestrelServer _server;
    private readonly IPEndPoint _address;

    public ApiListener(IPEndPoint address, ServerOptions options, int maxConnections, EventLoops loops, ILoggerFactory loggers)
    {
        _address = address;
        var kestrel = new KestrelServerOptions { AddServerHeader = false, AllowSynchronousIO = false, AllowHostHeaderOverride = true }; // a request target http://host/path counts as /path, even if the Host header names another host
        kestrel.Limits.MaxRequestBodySize = null; // the controller bounds the body that it takes; the rest is read and dropped for some seconds, so that the 413 arrives
        kestrel.Limits.MaxRequestLineSize = 8 * 1024 + 64;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromMilliseconds(options.HeadersTimeoutMs);
        kestrel.Limits.MinRequestBodyDataRate = options.MinBodyRate == 0
            ? null
            : new MinDataRate(options.MinBodyRate, TimeSpan.FromSeconds(5));
        kestrel.Limits.MinResponseDataRate = null; // Kestrel's bound lets a client pause as long as the bytes that the kernel took before would last; the controller bounds each piece instead
        kestrel.Listen(address, listen => listen.Protocols = HttpProtocols.Http1);
        var transport = new SocketTransport(loops, maxConnections, TimeProvider.System, loggers.CreateLogger<SocketTransport>());
        _server = new KestrelServer(Options.Create(kestrel), transport, loggers);
    }

    /// <summary>The port that is listened on; valid after <see cref="StartAsync"/>.</summary>
    public int Port { get; private set; }

    /// <summary>Listens from now on, and hands each request to the handler.</summary>
    /// <exception cref="StartRefusedException">The address is taken or not this machine's.</exception>
    public async Task StartAsync(Func<HttpContext, Task> handle, CancellationToken cancellationToken)
    {
        try
        {
            await _server.StartAsync(new ApiApplication(handle), cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            throw new StartRefusedException(
                $"Cannot listen on {_address}: {exception.Message.TrimEnd('.')}. Take another port with --port, or another address with --host.");
        }

        var bound = _server.Features.Get<IServerAddressesFeature>()!.Addresses.First();
        Port = new Uri(bound).Port;
    }

    /// <summary>Takes no new connection, and lets running requests end until the token is cancelled; then it breaks them off.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => _server.StopAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        _server.Dispose();
        return ValueTask.CompletedTask;
    }
}
