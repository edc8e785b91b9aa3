using System.Runtime.InteropServices;

namespace Frusta.Sockets;

/// <summary>A way for bytes in both directions. It is read when an event loop has seen bytes arrive, and written at once.</summary>
/// <remarks>
/// The kernel reports changes, not states (edge-triggered). A receive that did not fill its buffer took all bytes there were, so the next
/// receive is not tried before the next report: this saves the usual second receive that finds nothing. No call here waits: it takes as long
/// as copying the bytes that there is room for.
/// </remarks>
public abstract unsafe class ReadyDescriptor : IWatched, IDisposable
{
    /// <summary>Nothing to receive now, or no room to send.</summary>
    protected const int WouldBlock = -1;

    /// <summary>The connection is broken.</summary>
    protected const int Broken = -2;

    private protected const uint WhileReading = Epoll.Readable | Epoll.OtherSideClosed | Epoll.EdgeTriggered;

    private const int Interrupted = 4;
    private const int TryAgain = 11;

    /// <summary>Drains of the loop after which a report that is queued now is surely taken: a drain that is under way may miss it, the next does not.</summary>
    private const int DrainsToOrder = 2;

    private const int Quiet = 0;
    private const int Ready = 1;
    private const int Awaited = 2;

    private readonly EventLoops.Loop _loop;
    private long _number;
    private int _state = Ready; // bytes may have arrived before the watch began
    private int _closed;
    private int _writableAwaited;
    private long _inOrderFrom;
    private volatile bool _otherSideClosed;

    /// <param name="loops">One of them watches the descriptor from <see cref="Watch"/> on.</param>
    private protected ReadyDescriptor(EventLoops loops) => _loop = loops.Next();

    /// <summary>
    /// A count of the loop's drains (<see cref="EventLoops.Loop.Drains"/>). Once the loop has drained this often, each report is of bytes that
    /// came after that drain. An earlier report may be an old one, of bytes that were received before it.
    /// </summary>
    internal long InOrderFrom => Volatile.Read(ref _inOrderFrom);

    /// <summary>False when <see cref="Receive"/> would find nothing.</summary>
    protected internal bool MayReceive => Volatile.Read(ref _state) == Ready;

    /// <summary>Called on the loop's thread when something can be received: once for each <see cref="TryAwait"/> that returned true.</summary>
    protected abstract void OnReadable();

    /// <summary>
    /// Called after <see cref="AwaitWritable"/> when there is room to send, or there will never be any: on the loop's thread, or on a thread that calls
    /// <see cref="AwaitWritable"/>, <see cref="Shut"/> or <see cref="Dispose()"/>.
    /// </summary>
    protected virtual void OnWritable()
    {
    }

    /// <summary>Called on the loop's thread when the other side closed its end, or the connection broke; perhaps twice.</summary>
    protected virtual void OnOtherSideClosed()
    {
    }

    /// <summary>A watch over two other descriptors, on the same loop as this one. It is not quiet before <see cref="QuietWatch.Arm"/>.</summary>
    public QuietWatch Beside(SafeHandle one, SafeHandle other) => new(_loop, this, one, other);

    /// <summary>Closes the descriptor: nothing is reported from here on.</summary>
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
            CloseEnds();
            TellWritable(); // nothing is reported any more: a wait for room would not end
        }
    }

    /// <summary>Begins to watch.</summary>
    /// <exception cref="IOException">The host has no room for another watch.</exception>
    protected void Watch()
    {
        MayBeOutOfOrder();
        _number = _loop.NumberOf(this);
        BeginWatch();
    }

    /// <summary>Receives what is there: the number of bytes, 0 at the end, <see cref="WouldBlock"/> or <see cref="Broken"/>. One caller at a time.</summary>
    protected int Receive(Span<byte> buffer)
    {
        if (Interlocked.CompareExchange(ref _state, Quiet, Ready) != Ready)
        {
            return WouldBlock;
        }

        var count = ReadNow(buffer);
        if (count == WouldBlock)
        {
            return WouldBlock;
        }

        if (count < buffer.Length && !_otherSideClosed)
        {
            if (!_loop.IsCurrent)
            {
                MayBeOutOfOrder(); // the loop may not have come to the report of these bytes yet
            }

            return count;
        }

        MayBeOutOfOrder();
        Interlocked.CompareExchange(ref _state, Ready, Quiet); // there may be more, or the end
        return count;
    }

    /// <summary>Has <see cref="OnReadable"/> called once when something can be received; false when something can be received now.</summary>
    protected bool TryAwait() => Interlocked.CompareExchange(ref _state, Awaited, Quiet) == Quiet;

    /// <summary>Takes the wait back; false when <see cref="OnReadable"/> is being called.</summary>
    protected bool TryTakeBack() => Interlocked.CompareExchange(ref _state, Quiet, Awaited) == Awaited;

    /// <summary>Sends the bytes that there is room for: their number, <see cref="WouldBlock"/> or <see cref="Broken"/>.</summary>
    protected int Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            fixed (byte* first = bytes)
            {
                nint count;
                while ((count = Write(first, (nuint)bytes.Length)) < 0)
                {
                    if (Marshal.GetLastPInvokeError() is var error and not Interrupted)
                    {
                        return error == TryAgain ? WouldBlock : Broken;
                    }
                }

                return (int)count;
            }
        }
        catch (ObjectDisposedException)
        {
            return Broken;
        }
    }

    /// <summary>Has <see cref="OnWritable"/> called once when there is room to send, which may be at once. One caller at a time.</summary>
    protected void AwaitWritable()
    {
        Interlocked.Exchange(ref _writableAwaited, 1);
        if (!TryWatchRoom() || Volatile.Read(ref _closed) == 1)
        {
            TellWritable();
        }
    }

    /// <summary>Closes for good: nothing is sent from here on, and the other side learns it.</summary>
    protected abstract void Shut();

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
            RoomCame();
            TellWritable();
        }

        if (closed)
        {
            OnOtherSideClosed();
        }
    }

    /// <summary>Reads without waiting: the number of bytes, 0 at the end, or -1 and the error of the C library.</summary>
    private protected abstract nint Read(byte* buffer, nuint length);

    /// <summary>Writes without waiting: the number of bytes, or -1 and the error of the C library.</summary>
    private protected abstract nint Write(byte* bytes, nuint length);

    /// <summary>Watches the descriptor that is read from, for <see cref="WhileReading"/>, and the one that is written to if that is another.</summary>
    private protected abstract void BeginWatch();

    /// <summary>Has room to write reported, now or when there is some; false when nothing can be written any more.</summary>
    private protected abstract bool TryWatchRoom();

    /// <summary>Room was reported; it need not be reported again.</summary>
    private protected virtual void RoomCame()
    {
    }

    /// <summary>Closes the descriptors in the kernel.</summary>
    private protected abstract void CloseEnds();

    /// <summary>Calls <see cref="OnWritable"/> if it is awaited: there is room, or there will never be any.</summary>
    private protected void TellWritable()
    {
        if (Interlocked.Exchange(ref _writableAwaited, 0) == 1)
        {
            OnWritable();
        }
    }

    private protected void WatchAlso(SafeHandle handle, uint events) => _loop.Watch(_number, handle, events);

    /// <summary>
    /// Changes the events that are reported of a watched descriptor. Bytes or room that are there already are reported behind all other reports.
    /// False when the descriptor is closed.
    /// </summary>
    private protected bool TryChangeWatch(SafeHandle handle, uint events)
    {
        try
        {
            return _loop.TryChange(_number, handle, events);
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>As <see cref="TryAwait"/>, for a caller that causes a report.</summary>
    private protected void AwaitReport() => Interlocked.Exchange(ref _state, Awaited);

    /// <summary>
    /// Bytes were, or may soon be, received before their report. That report then stays in the kernel's queue, and stands there for bytes that come later.
    /// </summary>
    private protected void MayBeOutOfOrder() => Volatile.Write(ref _inOrderFrom, _loop.Drains + DrainsToOrder);

    private int ReadNow(Span<byte> buffer)
    {
        try
        {
            fixed (byte* first = buffer)
            {
                nint count;
                while ((count = Read(first, (nuint)buffer.Length)) < 0)
                {
                    if (Marshal.GetLastPInvokeError() is var error and not Interrupted)
                    {
                        return error == TryAgain ? WouldBlock : Broken;
                    }
                }

                return (int)count;
            }
        }
        catch (ObjectDisposedException)
        {
            return Broken;
        }
    }
}
