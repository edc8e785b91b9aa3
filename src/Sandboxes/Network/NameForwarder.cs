using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes.Network;

/// <summary>Passes the name look-ups of sandboxes on to the host's name servers, which sandboxes cannot reach themselves.</summary>
internal sealed partial class NameForwarder : IAsyncDisposable
{
    private const int Port = 53;
    private const int LongestDatagram = 4096;

    // Bytes of a DNS header. No server answers a shorter question, so that a look-up would wait for its whole time.
    private const int ShortestQuestion = 12;

    // Look-ups in flight of one sandbox, so that it cannot take those of all. The resolvers of Node and Python ask 8 to 12 questions at a time.
    private const int MostOfOneAsker = 16;
    private const int MostServers = 3;

    private readonly SandboxNetworkOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Socket _datagrams = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly Socket _streams = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly IPEndPoint[] _servers;
    private readonly Task _receiving;
    private readonly Task _accepting;
    private readonly Lock _lock = new();

    // Look-ups in flight by address. A sandbox has one address, and the kernel drops packets that it sends under another.
    private readonly Dictionary<IPAddress, int> _lookups = [];
    private int _allLookups;

    internal NameForwarder(IPAddress gateway, IPEndPoint[] servers, SandboxNetworkOptions options, TimeProvider time, ILogger log)
    {
        (_options, _time, _log) = (options, time, log);
        _servers = servers;
        try
        {
            _datagrams.Bind(new IPEndPoint(gateway, Port));
            _streams.Bind(new IPEndPoint(gateway, Port));
            _streams.Listen(64);
        }
        catch (SocketException taken)
        {
            // Another name server of this host holds the port on all addresses, and answers in our place.
            LogPortTaken(gateway, taken);
            _receiving = _accepting = Task.CompletedTask;
            return;
        }

        _receiving = ReceiveAsync();
        _accepting = AcceptAsync();
    }

    /// <summary>The host's name servers, at most three, in their order.</summary>
    internal static IPEndPoint[] ReadServers(string path)
    {
        if (!File.Exists(path))
        {
            return [];
        }

        return [.. File.ReadLines(path)
            .Select(static line => line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
            .Where(static words => words.Length >= 2 && words[0] is "nameserver")
            .Select(static words => IPAddress.TryParse(words[1], out var address) ? new IPEndPoint(address, Port) : null)
            .OfType<IPEndPoint>()
            .Take(MostServers)];
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _datagrams.Dispose();
        _streams.Dispose();
        await _receiving;
        await _accepting;
        _stopping.Dispose();
    }

    private bool TryBegin(IPAddress asker)
    {
        lock (_lock)
        {
            var own = _lookups.GetValueOrDefault(asker);
            if (_allLookups >= _options.NameLookups || own >= MostOfOneAsker)
            {
                return false;
            }

            _allLookups++;
            _lookups[asker] = own + 1;
            return true;
        }
    }

    private void End(IPAddress asker)
    {
        lock (_lock)
        {
            _allLookups--;
            if (--_lookups[asker] == 0)
            {
                _lookups.Remove(asker);
            }
        }
    }

    private async Task ReceiveAsync()
    {
        var buffer = new byte[LongestDatagram];
        var anybody = new IPEndPoint(IPAddress.Any, 0);
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var received = await _datagrams.ReceiveFromAsync(buffer, anybody, _stopping.Token);
                var asker = (IPEndPoint)received.RemoteEndPoint;
                if (received.ReceivedBytes >= ShortestQuestion && TryBegin(asker.Address))
                {
                    _ = AnswerAsync(buffer.AsSpan(0, received.ReceivedBytes).ToArray(), asker);
                }
            }
            catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The forwarder stops, or an earlier answer went to a sandbox that is gone.
            }
        }
    }

    private async Task AnswerAsync(byte[] question, IPEndPoint asker)
    {
        try
        {
            foreach (var server in _servers)
            {
                if (await AskAsync(server, question) is { } answer)
                {
                    await _datagrams.SendToAsync(answer, asker, _stopping.Token);
                    return;
                }
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The asker asks again.
        }
        finally
        {
            End(asker.Address);
        }
    }

    private async Task<byte[]?> AskAsync(IPEndPoint server, byte[] question)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMilliseconds(_options.NameLookupTimeoutMs), _time);
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _stopping.Token);

        // Each question has its own socket: its random port keeps others from answering in the server's place.
        using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            await socket.ConnectAsync(server, giveUp.Token);
            await socket.SendAsync(question, giveUp.Token);
            var answer = new byte[LongestDatagram];
            var length = await socket.ReceiveAsync(answer, giveUp.Token);
            return answer[..length];
        }
        catch (Exception failed) when (failed is SocketException or OperationCanceledException)
        {
            return null;
        }
    }

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var asker = await _streams.AcceptAsync(_stopping.Token);
                var address = ((IPEndPoint)asker.RemoteEndPoint!).Address;
                if (_servers.Length > 0 && TryBegin(address))
                {
                    _ = RelayAsync(asker, address);
                }
                else
                {
                    asker.Dispose();
                }
            }
            catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The forwarder stops, or the asker left while it was being accepted.
            }
        }
    }

    /// <summary>Passes on one question and its answer over TCP, each with its length before it.</summary>
    private async Task RelayAsync(Socket asker, IPAddress address)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMilliseconds(_options.NameLookupTimeoutMs), _time);
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _stopping.Token);
        try
        {
            using (asker)
            using (var server = new Socket(_servers[0].AddressFamily, SocketType.Stream, ProtocolType.Tcp))
            {
                await server.ConnectAsync(_servers[0], giveUp.Token);
                await CopyMessageAsync(asker, server, giveUp.Token);
                await CopyMessageAsync(server, asker, giveUp.Token);
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or IOException or SocketException)
        {
            // The asker asks again.
        }
        finally
        {
            End(address);
        }
    }

    private static async Task CopyMessageAsync(Socket from, Socket to, CancellationToken cancellationToken)
    {
        await using var source = new NetworkStream(from, ownsSocket: false);
        var message = new byte[2 + ushort.MaxValue];
        await source.ReadExactlyAsync(message.AsMemory(0, 2), cancellationToken);
        var length = BinaryPrimitives.ReadUInt16BigEndian(message);
        await source.ReadExactlyAsync(message.AsMemory(2, length), cancellationToken);
        await to.SendAsync(message.AsMemory(0, 2 + length), cancellationToken);
    }

    [LoggerMessage(EventId = 5040, Level = LogLevel.Warning, Message = "The name forwarder cannot listen on {Gateway} port 53; functions can resolve names only if the program that has this port answers them")]
    private partial void LogPortTaken(IPAddress gateway, Exception taken);
}
