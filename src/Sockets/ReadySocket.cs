using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Frusta.Sockets;

/// <summary>A connected socket that is read when an event loop has seen something come, and written at once.</summary>
/// <remarks>
/// The kernel reports changes, not states (edge-triggered). A receive that did not fill its buffer took all there was, so that
/// the next is not tried before the next report: the usual second receive that finds nothing is not made.
/// </remarks>
public abstract unsafe partial class ReadySocket : IWatched, IDisposable
{
    /// <summary>Nothing to receive now, or no room to send.</summary>
    protected const int WouldBlock = -1;

    /// <summary>The connection is broken.</summary>
    protected const int Broken = -2;

    private const uint WhileReading = Epoll.Readable | Epoll.OtherSideClosed | Epoll.EdgeTriggered;
    private const int DoNotWait = 0x40;
    private const int NoSignal = 0x4000;
    private const int Interrupted = 4;
    private const int TryAgain = 11;

    /// <summary>A drain that is under way may have passed by what is queued now; the next does not.</summary>
    private const int DrainsToOrder = 2;

    private const int Quiet = 0;
    private const int Ready = 1;
    private const int Awaited = 2;

    private readonly Socket _socket;
    private readonly SafeSocketHandle _handle;
    private readonly EventLoops.Loop _loop;
    private long _number;
    private int _state = Ready; // what came before the watch is looked for
    private int _closed;
    private int _writableAwaited;
    private long _inOrderFrom;
    private volatile bool _otherSideClosed;

    /// <param name="socket">Connected; from now on this one's.</param>
    /// <param name="loops">One of them will watch it, from <see cref="Watch"/> on.</param>
    protected ReadySocket(Socket socket, EventLoops loops)
    {
        _socket = socket;
        _handle = socket.SafeHandle;
        _loop = loops.Next();
    }

    /// <summary>From this one of the loop's drains on, a report is surely of bytes that came after it.</summary>
    internal long InOrderFrom => Volatile.Read(ref _inOrderFrom);

    /// <summary>False when <see cref="Receive"/> would find nothing.</summary>
    protected internal bool MayReceive => Volatile.Read(ref _state) == Ready;

    /// <summary>Called on the loop's thread when something can be received after <see cref="TryAwait"/> said so. Once for each time.</summary>
    protected abstract void OnReadable();

    /// <summary>Called when there is room to send, or there never will be, after <see cref="AwaitWritable"/>: on the loop's thread, or on the one that frees the socket.</summary>
    protected virtual void OnWritable()
    {
    }

    /// <summary>Called on the loop's thread when the other side closed its end, or the connection broke; perhaps twice.</summary>
    protected virtual void OnOtherSideClosed()
    {
    }

    /// <summary>A watch over two descriptors on the loop of this socket. It says nothing before <see cref="QuietWatch.Arm"/>.</summary>
    public QuietWatch Beside(SafeHandle one, SafeHandle other) => new(_loop, this, one, other);

    /// <summary>Frees the socket: nothing is reported from here on.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (disposing && Interlocked.Exchange(ref _closed, 1) == 0)
        {
            _loop.Forget(_number);
            _socket.Dispose();
            TellWritable(); // nothing is reported any more, and nobody is to wait for ever
        }
    }

    /// <summary>Begins to watch the socket.</summary>
    protected void Watch()
    {
        MayBeOutOfOrder();
        _number = _loop.Watch(this, _handle, WhileReading);
    }

    /// <summary>Receives what is there: the number of bytes, 0 at the end, <see cref="WouldBlock"/> or <see cref="Broken"/>. One caller at a time.</summary>
    protected int Receive(Span<byte> buffer)
    {
        if (Interlocked.CompareExchange(ref _state, Quiet, Ready) != Ready)
        {
            return WouldBlock;
        }

        nint count;
        int error;
        try
        {
            fixed (byte* first = buffer)
            {
                do
                {
                    count = recv(_handle, first, (nuint)buffer.Length, DoNotWait);
                    error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
                }
                while (error == Interrupted);
            }
        }
        catch (ObjectDisposedException)
        {
            return Broken;
        }

        if (error == TryAgain)
        {
            return WouldBlock;
        }

        if (count < buffer.Length && !_otherSideClosed)
        {
            if (!_loop.IsCurrent)
            {
                MayBeOutOfOrder(); // the loop may not have come to the report of these yet
            }

            return count < 0 ? Broken : (int)count;
        }

        MayBeOutOfOrder();
        Interlocked.CompareExchange(ref _state, Ready, Quiet); // there may be more, or the end
        return count < 0 ? Broken : (int)count;
    }

    /// <summary>Has <see cref="OnReadable"/> called once when something can be received; false when it can be now.</summary>
    protected bool TryAwait() => Interlocked.CompareExchange(ref _state, Awaited, Quiet) == Quiet;

    /// <summary>Takes the wait back; false when <see cref="OnReadable"/> is being called.</summary>
    protected bool TryTakeBack() => Interlocked.CompareExchange(ref _state, Quiet, Awaited) == Awaited;

    /// <summary>Sends what there is room for: the number of bytes, <see cref="WouldBlock"/> or <see cref="Broken"/>.</summary>
    protected int Send(ReadOnlySpan<byte> bytes)
    {
        nint count;
        int error;
        try
        {
            fixed (byte* first = bytes)
            {
                do
                {
                    count = send(_handle, first, (nuint)bytes.Length, DoNotWait | NoSignal);
                    error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
                }
                while (error == Interrupted);
            }
        }
        catch (ObjectDisposedException)
        {
            return Broken;
        }

        return error == TryAgain ? WouldBlock : error != 0 ? Broken : (int)count;
    }

    /// <summary>Has <see cref="OnWritable"/> called once when there is room to send, which may be at once. One caller at a time.</summary>
    /// <remarks>Room is watched for only then: a unix socket would report it each time that the other side has read.</remarks>
    protected void AwaitWritable()
    {
        Interlocked.Exchange(ref _writableAwaited, 1);
        ChangeWatch(WhileReading | Epoll.Writable);
        if (Volatile.Read(ref _closed) == 1)
        {
            TellWritable();
        }
    }

    /// <summary>Closes both directions, so that whoever waits learns it, and nothing is sent from here on.</summary>
    protected void Shut()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It is closed already, which is what was wanted.
        }
    }

    void IWatched.Happened(uint what)
    {
        var closed = (what & Epoll.Closed) != 0;
        if (closed)
        {
            _otherSideClosed = true;
        }

        if ((what & (Epoll.Readable | Epoll.Closed)) != 0 && Interlocked.Exchange(ref _state, Ready) == Awaited)
        {
            OnReadable();
        }

        if ((what & (Epoll.Writable | Epoll.Closed)) != 0 && Volatile.Read(ref _writableAwaited) == 1)
        {
            ChangeWatch(WhileReading);
            TellWritable();
        }

        if (closed)
        {
            OnOtherSideClosed();
        }
    }

    private void TellWritable()
    {
        if (Interlocked.Exchange(ref _writableAwaited, 0) == 1)
        {
            OnWritable();
        }
    }

    /// <summary>
    /// Bytes were or may soon be received before their report: the report is then left in the kernel's queue, and what comes later takes its place there.
    /// </summary>
    private void MayBeOutOfOrder() => Volatile.Write(ref _inOrderFrom, _loop.Drains + DrainsToOrder);

    private void ChangeWatch(uint events)
    {
        MayBeOutOfOrder();
        try
        {
            _loop.Change(_number, _handle, events);
        }
        catch (ObjectDisposedException)
        {
            // Nobody waits any more.
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(SafeSocketHandle socket, byte* buffer, nuint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(SafeSocketHandle socket, byte* buffer, nuint length, int flags);
}
