using System.Net.Sockets;
using System.Runtime.InteropServices;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes;

/// <summary>The unix socket that a sandbox connects to, once.</summary>
internal sealed class ChannelListener : IDisposable
{
    internal const string FileName = "channel";

    private const int SocketLevel = 1;
    private const int PeerCredentials = 17;

    // Anybody else who finds the path is turned away, but does not use up the wait more often than this.
    private const int MostStrangers = 16;

    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly string _path;

    internal ChannelListener(string folder, uint? user)
    {
        _path = Path.Combine(folder, FileName);
        _listener.Bind(new UnixDomainSocketEndPoint(_path));
        if (user is { } owner && Libc.ChangeOwner(_path, owner, owner) != 0)
        {
            throw Libc.Failure($"chown {_path}");
        }

        _listener.Listen(4);
    }

    /// <summary>Waits for a process of the tree of <paramref name="root"/>, running as <paramref name="user"/>, and unlinks the path.</summary>
    /// <exception cref="SandboxStartException">Only strangers connected.</exception>
    internal async Task<Socket> AcceptAsync(int root, uint user, CancellationToken cancellationToken)
    {
        for (var strangers = 0; strangers < MostStrangers; strangers++)
        {
            var socket = await _listener.AcceptAsync(cancellationToken);
            var (peer, peerUser) = ReadPeer(socket);
            if (peerUser == user && ProcessTable.IsInTree(peer, root))
            {
                File.Delete(_path);
                socket.Blocking = false;
                return socket;
            }

            socket.Dispose();
        }

        throw new SandboxStartException($"{MostStrangers} connections to the channel came from processes outside the sandbox.");
    }

    public void Dispose() => _listener.Dispose();

    private static (int Pid, uint User) ReadPeer(Socket socket)
    {
        Span<int> credentials = stackalloc int[3];
        _ = socket.GetRawSocketOption(SocketLevel, PeerCredentials, MemoryMarshal.AsBytes(credentials));
        return (credentials[0], (uint)credentials[1]);
    }
}
