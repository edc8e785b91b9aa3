using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sockets;

/// <summary>The kernel's watch over many descriptors.</summary>
public static unsafe partial class Epoll
{
    /// <summary>There is something to read, or a connection has come.</summary>
    public const uint Readable = 1;

    /// <summary>There is room to write.</summary>
    public const uint Writable = 4;

    /// <summary>The other side will send nothing more.</summary>
    public const uint OtherSideClosed = 0x2000;

    /// <summary>The connection broke, or is closed on both sides, or the other side will send nothing more. The first two are always reported.</summary>
    public const uint Closed = 8 | 16 | OtherSideClosed;

    /// <summary>Report once, and nothing more until the watch is changed.</summary>
    public const uint OneShot = 1u << 30;

    /// <summary>Report a change once, not a state for as long as it lasts.</summary>
    public const uint EdgeTriggered = 1u << 31;

    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int AddOperation = 1;
    private const int ForgetOperation = 2;
    private const int ChangeOperation = 3;

    /// <summary>A watch over no descriptor yet.</summary>
    /// <exception cref="IOException">The host has no room for another.</exception>
    public static SafeFileHandle Create() => Checked(epoll_create1(CloseOnExec), "epoll_create1");

    /// <summary>A descriptor that becomes readable by <see cref="Signal"/>, to wake a thread that waits.</summary>
    /// <exception cref="IOException">The host has no room for another.</exception>
    public static SafeFileHandle CreateEvent() => Checked(eventfd(0, CloseOnExec | NonBlocking), "eventfd");

    /// <summary>
    /// Watches a descriptor; the kernel ends the watch when the descriptor's last copy is closed. Bytes or room that are there already are reported too.
    /// </summary>
    /// <param name="epoll">The watch, of <see cref="Create"/>.</param>
    /// <param name="descriptor">The descriptor.</param>
    /// <param name="data">A number of the caller's that comes back in each <see cref="EpollEvent"/>.</param>
    /// <param name="events">A set of <see cref="Readable"/> and the like.</param>
    /// <returns>False when the kernel cannot watch the descriptor, or has no room for another watch.</returns>
    public static bool Watch(SafeFileHandle epoll, SafeHandle descriptor, long data, uint events) => Control(epoll, AddOperation, descriptor, data, events);

    /// <summary>Watches a descriptor for other events from now on. Bytes or room that are there already are reported too.</summary>
    public static bool Change(SafeFileHandle epoll, SafeHandle descriptor, long data, uint events) => Control(epoll, ChangeOperation, descriptor, data, events);

    /// <summary>Ends the watch over a descriptor.</summary>
    public static void Forget(SafeFileHandle epoll, SafeHandle descriptor) => Control(epoll, ForgetOperation, descriptor, 0, 0);

    /// <summary>Waits for events and tells how many there are; -1 milliseconds waits without end.</summary>
    [SkipLocalsInit] // the kernel fills what is read
    public static int Wait(SafeFileHandle epoll, Span<EpollEvent> events, int milliseconds)
    {
        var buffer = stackalloc byte[Size * events.Length];
        var count = epoll_wait(epoll, buffer, events.Length, milliseconds);
        for (var i = 0; i < count; i++)
        {
            var first = buffer + (i * Size);
            events[i] = new EpollEvent(*(uint*)first, Marshal.ReadInt64((nint)(first + DataOffset)));
        }

        return Math.Max(count, 0);
    }

    /// <summary>Makes a descriptor of <see cref="CreateEvent"/> readable.</summary>
    public static void Signal(SafeFileHandle wake)
    {
        ulong one = 1;
        write(wake, (byte*)&one, sizeof(ulong));
    }

    /// <summary>Makes a descriptor of <see cref="CreateEvent"/> unreadable until the next <see cref="Signal"/>.</summary>
    public static void Clear(SafeFileHandle wake)
    {
        ulong count;
        read(wake, (byte*)&count, sizeof(ulong));
    }

    // The kernel's struct epoll_event is packed to 12 bytes on x86-64, and aligned to 16 elsewhere.
    private static int DataOffset => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

    private static int Size => DataOffset + sizeof(long);

    private static bool Control(SafeFileHandle epoll, int operation, SafeHandle descriptor, long data, uint events)
    {
        var wanted = stackalloc byte[Size];
        *(uint*)wanted = events;
        Marshal.WriteInt64((nint)(wanted + DataOffset), data);
        return epoll_ctl(epoll, operation, descriptor, wanted) == 0;
    }

    private static SafeFileHandle Checked(int descriptor, string call) => descriptor >= 0
        ? new SafeFileHandle(descriptor, ownsHandle: true)
        : throw new IOException($"{call} failed: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(SafeFileHandle epoll, int operation, SafeHandle descriptor, byte* wanted);

    [LibraryImport("libc")]
    private static partial int epoll_wait(SafeFileHandle epoll, byte* events, int count, int milliseconds);

    [LibraryImport("libc")]
    private static partial nint write(SafeFileHandle descriptor, byte* bytes, nint count);

    [LibraryImport("libc")]
    private static partial nint read(SafeFileHandle descriptor, byte* bytes, nint count);
}

/// <summary>The kernel's report about one descriptor.</summary>
/// <param name="What">A set of <see cref="Epoll.Readable"/> and the like.</param>
/// <param name="Data">The number that the descriptor was watched with.</param>
public readonly record struct EpollEvent(uint What, long Data);
