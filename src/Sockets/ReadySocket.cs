using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Frusta.Sockets;

/// <summary>A connected socket.</summary>
/// <remarks>
/// Only for connections of clients and other hosts, never for a sandbox: a process at the other end of a unix socket may pass descriptors, and
/// closing those may block.
/// </remarks>
public abstract unsafe partial class ReadySocket : ReadyDescriptor
{
    private const int DoNotWait = 0x40;
    private const int NoSignal = 0x4000;

    private readonly Socket _socket;
    private readonly SafeSocketHandle _handle;

    // One watch reports both arrivals and room: a thread that changes it for one must keep what another asked for the other.
    private readonly Lock _watching = new();
    private uint _room;

    /// <param name="socket">Connected; this object owns it from now on.</param>
    /// <param name="loops">One of them watches the socket.</param>
    protected ReadySocket(Socket socket, EventLoops loops)
        : base(loops)
    {
        _socket = socket;
        _handle = socket.SafeHandle;
    }

    /// <summary>Has <see cref="ReadyDescriptor.OnReadable"/> called when something can be received, after all other descriptors that are ready.</summary>
    protected void AwaitTurn()
    {
        MayBeOutOfOrder();
        AwaitReport();
        lock (_watching)
        {
            TryChangeWatch(_handle, WhileReading | _room);
        }
    }

    protected override void Shut()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The socket is closed already.
        }
    }

    private protected override nint Read(byte* buffer, nuint length) => recv(_handle, buffer, length, DoNotWait);

    private protected override nint Write(byte* bytes, nuint length) => send(_handle, bytes, length, DoNotWait | NoSignal);

    private protected override void BeginWatch() => WatchAlso(_handle, WhileReading);

    /// <remarks>Room is watched only while a caller waits for it: a socket would report it each time that the other side has read.</remarks>
    private protected override bool TryWatchRoom() => TryWatchRoom(Epoll.Writable);

    private protected override void RoomCame() => TryWatchRoom(0);

    private protected override void CloseEnds() => _socket.Dispose();

    private bool TryWatchRoom(uint room)
    {
        MayBeOutOfOrder();
        lock (_watching)
        {
            _room = room;
            return TryChangeWatch(_handle, WhileReading | room);
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(SafeSocketHandle socket, byte* buffer, nuint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(SafeSocketHandle socket, byte* buffer, nuint length, int flags);
}
