using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sockets;

/// <summary>Two pipes, one for each direction. Only bytes come through them: a descriptor cannot be passed.</summary>
/// <remarks>
/// The process that holds the other ends may do anything to them: enlarge or shrink the buffers (to 1 MiB and 4 KiB), make each write a packet, open
/// the other direction of a pipe where it owns it. None of that makes a call here wait, since our ends are descriptions of their own. None of it lets
/// a call copy more than a buffer holds. Such a process loses or doubles only bytes of its own pipes.
/// </remarks>
public abstract unsafe partial class ReadyPipes : ReadyDescriptor
{
    private const uint RoomOnce = Epoll.Writable | Epoll.OneShot;

    private readonly SafeFileHandle _from;
    private readonly SafeFileHandle _to;
    private readonly Lock _sending = new();

    /// <param name="from">Read end of one pipe, non-blocking; this object owns it from now on.</param>
    /// <param name="to">Write end of the other pipe, non-blocking; this object owns it from now on.</param>
    /// <param name="loops">One of them watches both.</param>
    protected ReadyPipes(SafeFileHandle from, SafeFileHandle to, EventLoops loops)
        : base(loops)
    {
        (_from, _to) = (from, to);
    }

    /// <summary>Has <see cref="ReadyDescriptor.OnReadable"/> called again, after all other descriptors that are ready.</summary>
    protected void AwaitTurn()
    {
        MayBeOutOfOrder();
        AwaitReport();
        TryChangeWatch(_from, WhileReading);
    }

    /// <summary>Closes the pipe to the other side, which then reads its end; no byte is being sent when this returns. The other pipe can still be read.</summary>
    protected override void Shut()
    {
        lock (_sending)
        {
            _to.Dispose();
        }

        TellWritable();
    }

    private protected override nint Read(byte* buffer, nuint length) => read(_from, buffer, length);

    private protected override nint Write(byte* bytes, nuint length)
    {
        lock (_sending)
        {
            return write(_to, bytes, length);
        }
    }

    private protected override void BeginWatch()
    {
        WatchAlso(_from, WhileReading);
        WatchAlso(_to, RoomOnce); // reported once at the start, when no caller waits for room
    }

    private protected override bool TryWatchRoom() => TryChangeWatch(_to, RoomOnce);

    private protected override void CloseEnds()
    {
        Shut();
        _from.Dispose();
    }

    // Writing to a pipe that has no reader gives EPIPE: .NET ignores the signal.
    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle pipe, byte* buffer, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle pipe, byte* bytes, nuint length);
}
