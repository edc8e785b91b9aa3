using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Runtimes.Output;

/// <summary>The kernel's watch over many descriptors.</summary>
internal static unsafe partial class Epoll
{
    public const uint Readable = 1;
    public const uint EdgeTriggered = 1u << 31;

    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int AddOperation = 1;

    public static SafeFileHandle Create() => Checked(epoll_create1(CloseOnExec), "epoll_create1");

    public static SafeFileHandle CreateEvent() => Checked(eventfd(0, CloseOnExec | NonBlocking), "eventfd");

    /// <summary>Watches a descriptor; it leaves the watch when its last copy is closed.</summary>
    public static bool Watch(SafeFileHandle epoll, SafeFileHandle descriptor, long data, uint events)
    {
        var wanted = new Event(events, data);
        return epoll_ctl(epoll, AddOperation, descriptor, wanted.Bytes) == 0;
    }

    /// <summary>Waits for events: their data in <paramref name="data"/>, and how many; -1 milliseconds waits without end.</summary>
    public static int Wait(SafeFileHandle epoll, Span<long> data, int milliseconds)
    {
        var buffer = stackalloc byte[Event.Size * data.Length];
        var count = epoll_wait(epoll, buffer, data.Length, milliseconds);
        for (var i = 0; i < count; i++)
        {
            data[i] = Event.DataAt(buffer + (i * Event.Size));
        }

        return Math.Max(count, 0);
    }

    public static void Signal(SafeFileHandle wake)
    {
        ulong one = 1;
        write(wake, (byte*)&one, sizeof(ulong));
    }

    public static void Clear(SafeFileHandle wake)
    {
        ulong count;
        read(wake, (byte*)&count, sizeof(ulong));
    }

    private static SafeFileHandle Checked(int descriptor, string call) => descriptor >= 0
        ? new SafeFileHandle(descriptor, ownsHandle: true)
        : throw new IOException($"{call} failed: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(SafeFileHandle epoll, int operation, SafeFileHandle descriptor, byte* wanted);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_wait(SafeFileHandle epoll, byte* events, int count, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle descriptor, byte* bytes, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle descriptor, byte* bytes, nint count);

    /// <summary>The kernel's struct epoll_event: packed to 12 bytes on x86-64, aligned to 16 elsewhere.</summary>
    private ref struct Event
    {
        private fixed byte _bytes[16];

        public Event(uint events, long data)
        {
            fixed (byte* first = _bytes)
            {
                *(uint*)first = events;
                Marshal.WriteInt64((nint)(first + DataOffset), data);
            }
        }

        public static int Size => DataOffset + sizeof(long);

        private static int DataOffset => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

        /// <summary>Only for an event on the stack.</summary>
        public byte* Bytes => (byte*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _bytes[0]);

        public static long DataAt(byte* first) => Marshal.ReadInt64((nint)(first + DataOffset));
    }
}
