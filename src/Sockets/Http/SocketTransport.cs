using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace Frusta.Sockets.Http;

/// <summary>Kestrel's transport on the event loops (docs/decisions/0005-own-event-loops.md).</summary>
/// <param name="loops">They watch the connections.</param>
/// <param name="maxConnections">
/// Greatest number of connections of one listener at a time. A connection beyond it is closed as soon as it is accepted. Kestrel's own bound
/// would close it a while later, and a flood could take the last descriptor until then.
/// </param>
/// <param name="clock">Times the next try when no connection can be accepted, and how often that is logged.</param>
/// <param name="logger">Gets a warning when no connection can be accepted, and when there are too many.</param>
public sealed partial class SocketTransport(EventLoops loops, int maxConnections, TimeProvider clock, ILogger<SocketTransport> logger) : IConnectionListenerFactory
{
    private const int Backlog = 512;

    // Bytes of an answer that the kernel holds before they are on their way. Without this bound it holds up to 4 MB for each client that does not read,
    // which no budget counts.
    private const int MostUnsentBytes = 64 * 1024;
    private const int TcpNotSentLowAt = 25;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (endpoint is IPEndPoint { Address: var address } && address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            socket.SetRawSocketOption((int)ProtocolType.Tcp, TcpNotSentLowAt, BitConverter.GetBytes(MostUnsentBytes)); // its connections inherit it
            socket.Bind(endpoint);
            socket.Listen(Backlog);
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw exception.SocketErrorCode == SocketError.AddressAlreadyInUse ? new AddressInUseException(exception.Message, exception) : exception;
        }

        return ValueTask.FromResult<IConnectionListener>(new Listener(socket, loops, maxConnections, clock, logger));
    }

    private sealed partial class Listener(Socket socket, EventLoops loops, int maxConnections, TimeProvider clock, ILogger logger) : IConnectionListener
    {
        private static readonly TimeSpan UntilNextTry = TimeSpan.FromMilliseconds(100);
        private static readonly TimeSpan BetweenWarnings = TimeSpan.FromSeconds(10);

        private long? _fullSaid;
        private long? _refusedSaid;
        private int _refused;
        private int _open;
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
                    if (IsTimeToSay(ref _fullSaid))
                    {
                        LogFull();
                    }

                    await Task.Delay(UntilNextTry, clock, cancellationToken);
                }
                catch (SocketException)
                {
                    // The client closed the connection before it was accepted.
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
            if (Interlocked.Increment(ref _open) > maxConnections)
            {
                Free();
                accepted.Dispose();
                _refused++;
                if (IsTimeToSay(ref _refusedSaid))
                {
                    LogRefused(_refused, maxConnections);
                    _refused = 0;
                }

                return null;
            }

            try
            {
                accepted.NoDelay = true;
                var connection = new SocketConnection(accepted, loops, ++_number, Free);
                connection.Start();
                return connection;
            }
            catch (Exception exception) when (exception is SocketException or IOException)
            {
                accepted.Dispose();
                Free();
                return null;
            }
        }

        private void Free() => Interlocked.Decrement(ref _open);

        /// <summary>True when the last warning is so long ago that another helps: the cause lasts, and each new client meets it.</summary>
        private bool IsTimeToSay(ref long? said)
        {
            if (said is { } before && clock.GetElapsedTime(before) < BetweenWarnings)
            {
                return false;
            }

            said = clock.GetTimestamp();
            return true;
        }

        [LoggerMessage(10001, LogLevel.Warning, "No connection can be taken for now: this process has no open file left. Raise the bound with `ulimit -n` before the start, or with LimitNOFILE= in a systemd unit.")]
        private partial void LogFull();

        [LoggerMessage(10002, LogLevel.Warning, "Connections were refused since this was said last, or since the start: {Count}. At most {Max} are open at a time (Server:MaxConnections, or fewer where the start screen says so).")]
        private partial void LogRefused(int count, int max);
    }
}
