using System.Runtime.InteropServices;

namespace Frusta.Sockets;

/// <summary>A way for bytes in both directions that is read when an event loop has seen something come, and written at once.</summary>
/// <remarks>
/// The kernel reports changes, not states (edge-triggered). A receive that did not fill its buffer took all there was, so that
/// the next is not tried before the next report: the usual second receive that finds nothing is not made. No call here waits: one takes
/// as long as it takes to copy the bytes that there is room for.
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

    /// <summary>A drain that is under way may have passed by what is queued now; the next does not.</summary>
    private const int DrainsToOrder = 2;

    private const int Quiet = 0;
    private const int Ready = 1;
    private const int Awaited = 2;

    private readonly EventLoops.Loop _loop;
    private long _number;
    private int _state = Ready; // what came before the watch is looked for
    private int _closed;
    private int _writableAwaited;
    private long _inOrderFrom;
    private volatile bool _otherSideClosed;

    /// <param name="loops">One of them will watch, from <see cref="Watch"/> on.</param>
    private protected ReadyDescriptor(EventLoops loops) => _loop = loops.Next();

    /// <summary>From this one of the loop's drains on, a report is surely of bytes that came after it.</summary>
    internal long InOrderFrom => Volatile.Read(ref _inOrderFrom);

    /// <summary>False when <see cref="Receive"/> would find nothing.</summary>
    protected internal bool MayReceive => Volatile.Read(ref _state) == Ready;

    /// <summary>Called on the loop's thread when something can be received after <see cref="TryAwait"/> said so. Once for each time.</summary>
    protected abstract void OnReadable();

    /// <summary>Called when there is room to send, or there never will be, after <see cref="AwaitWritable"/>: on the loop's thread, or on the one that closes.</summary>
    protected virtual void OnWritable()
    {
    }

    /// <summary>Called on the loop's thread when the other side closed its end, or the connection broke; perhaps twice.</summary>
    protected virtual void OnOtherSideClosed()
    {
    }

    /// <summary>A watch over two descriptors on the loop of this one. It says nothing before <see cref="QuietWatch.Arm"/>.</summary>
    public QuietWatch Beside(SafeHandle one, SafeHandle other) => new(_loop, this, one, other);

    /// <summary>Closes it: nothing is reported from here on.</summary>
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
            TellWritable(); // nothing is reported any more, and nobody is to wait for ever
        }
    }

    /// <summary>Begins to watch.</summary>
    /// <exception cref="IOException">The host has no room for that.</exception>
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
                MayBeOutOfOrder(); // the loop may not have come to the report of these yet
            }

            return count;
        }

        MayBeOutOfOrder();
        Interlocked.CompareExchange(ref _state, Ready, Quiet); // there may be more, or the end
        return count;
    }

    /// <summary>Has <see cref="OnReadable"/> called once when something can be received; false when it can be now.</summary>
    protected bool TryAwait() => Interlocked.CompareExchange(ref _state, Awaited, Quiet) == Quiet;

    /// <summary>Takes the wait back; false when <see cref="OnReadable"/> is being called.</summary>
    protected bool TryTakeBack() => Interlocked.CompareExchange(ref _state, Quiet, Awaited) == Awaited;

    /// <summary>Sends what there is room for: the number of bytes, <see cref="WouldBlock"/> or <see cref="Broken"/>.</summary>
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

    /// <summary>Closes both directions for good: nothing is sent from here on, and the other side learns it.</summary>
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

    /// <summary>Puts under watch what is read from, <see cref="WhileReading"/>, and what is written to.</summary>
    private protected abstract void BeginWatch();

    /// <summary>Has the next room to write reported, or that there is some; false when nothing can be written any more.</summary>
    private protected abstract bool TryWatchRoom();

    /// <summary>Room was reported, and is not to be again.</summary>
    private protected virtual void RoomCame()
    {
    }

    /// <summary>Gives back what the kernel holds.</summary>
    private protected abstract void CloseEnds();

    /// <summary>Tells whoever waits for room that there is some, or never will be.</summary>
    private protected void TellWritable()
    {
        if (Interlocked.Exchange(ref _writableAwaited, 0) == 1)
        {
            OnWritable();
        }
    }

    private protected void WatchAlso(SafeHandle handle, uint events) => _loop.Watch(_number, handle, events);

    /// <summary>Changes what is reported of a descriptor that is watched, and has what is there already reported, behind all other reports. False when it is closed.</summary>
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

    /// <summary>As <see cref="TryAwait"/>, when a report is sure to come.</summary>
    private protected void AwaitReport() => Interlocked.Exchange(ref _state, Awaited);

    /// <summary>
    /// Bytes were or may soon be received before their report: the report is then left in the kernel's queue, and what comes later takes its place there.
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
