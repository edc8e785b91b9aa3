using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace Frusta.Sockets.Http;

/// <summary>Kestrel's transport on the event loops (docs/decisions/0005-own-event-loops.md).</summary>
/// <param name="loops">They watch the connections.</param>
/// <param name="clock">Waits when no connection can be taken.</param>
/// <param name="logger">Says when no connection can be taken.</param>
public sealed partial class SocketTransport(EventLoops loops, TimeProvider clock, ILogger<SocketTransport> logger) : IConnectionListenerFactory
{
    private const int Backlog = 512;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (endpoint is IPEndPoint { Address: var address } && address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            socket.Bind(endpoint);
            socket.Listen(Backlog);
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw exception.SocketErrorCode == SocketError.AddressAlreadyInUse ? new AddressInUseException(exception.Message, exception) : exception;
        }

        return ValueTask.FromResult<IConnectionListener>(new Listener(socket, loops, clock, logger));
    }

    private sealed partial class Listener(Socket socket, EventLoops loops, TimeProvider clock, ILogger logger) : IConnectionListener
    {
        private static readonly TimeSpan UntilNextTry = TimeSpan.FromMilliseconds(100);
        private static readonly TimeSpan BetweenWarnings = TimeSpan.FromSeconds(10);

        private long? _warned;
        private long _number;

        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                try
                {
                    var accepted = await socket.AcceptAsync(cancellationToken);
                    if (TryMake(accepted) is { } connection)
                    {
                        return connection;
                    }
                }
                catch (Exception exception) when (exception is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
                {
                    return null;
                }
                catch (SocketException exception) when (exception.SocketErrorCode == SocketError.TooManyOpenSockets)
                {
                    Warn(exception.Message);
                    await Task.Delay(UntilNextTry, clock, cancellationToken);
                }
                catch (SocketException)
                {
                    // The client went before it was taken.
                }
            }
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => DisposeAsync();

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            return ValueTask.CompletedTask;
        }

        private SocketConnection? TryMake(Socket accepted)
        {
            try
            {
                accepted.NoDelay = true;
                var connection = new SocketConnection(accepted, loops, Interlocked.Increment(ref _number));
                connection.Start();
                return connection;
            }
            catch (Exception exception) when (exception is SocketException or IOException)
            {
                accepted.Dispose();
                return null;
            }
        }

        /// <summary>It is so for every try while it lasts; once in a while says enough.</summary>
        private void Warn(string why)
        {
            if (_warned is not { } before || clock.GetElapsedTime(before) >= BetweenWarnings)
            {
                _warned = clock.GetTimestamp();
                LogFull(why);
            }
        }

        [LoggerMessage(10001, LogLevel.Warning, "No connection can be taken for now: {Why}. The bound on open files is too low for that many clients.")]
        private partial void LogFull(string why);
    }
}
