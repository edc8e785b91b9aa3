using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>Calls of the C library that .NET does not have. Where a call fails it returns -1 with errno, unless its comment says otherwise.</summary>
internal static partial class Libc
{
    internal const int CloseOnExec = 0x80000;
    internal const int NonBlocking = 0x800;
    internal const int NewNetworkNamespace = 0x40000000;
    internal const int SigKill = 9;

    private const int BatchPolicy = 3;
    private const int DuplicateFrom = 1030;
    private const int GetStatusFlags = 3;
    private const int SetStatusFlags = 4;
    private const int PidfdOpenNumber = 434;
    private const int PidfdSendSignalNumber = 424;

    // Numbers of system calls, which differ on x86-64 and arm64. They are called by number because the C library's functions change every thread.
    private static readonly bool Arm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
    private static readonly nint SetUserIdsNumber = Arm ? 147 : 117;
    private static readonly nint SetGroupIdsNumber = Arm ? 149 : 119;
    private static readonly nint SetGroupsNumber = Arm ? 159 : 116;

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    internal static unsafe partial int Pipe(int* descriptors, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    internal static unsafe partial nint Read(SafeHandle file, byte* buffer, nuint capacity);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    internal static unsafe partial nint Write(SafeHandle file, byte* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    internal static unsafe partial int Poll(PolledDescriptor* descriptors, nuint count, int timeoutMs);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    internal static partial int ChangeOwner(SafeHandle file, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    internal static partial int WaitPid(int pid, out int status, int options);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    internal static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    internal static partial int SetNamespace(SafeHandle target, int kind);

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    internal static partial int Unshare(int kinds);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    internal static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "prlimit", SetLastError = true)]
    internal static unsafe partial int SetLimit(int pid, int resource, ResourceLimit* wanted, ResourceLimit* old);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    internal static partial int OpenSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    internal static unsafe partial int DeviceControl(SafeHandle file, nuint request, byte* argument);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int descriptor, int command, nint argument);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third, nint fourth);

    [LibraryImport("libc", EntryPoint = "sched_setscheduler", SetLastError = true)]
    private static unsafe partial int SetScheduler(int thread, int policy, int* priority);

    /// <summary>
    /// Has this thread, and processes that it starts from now on, interrupt no other thread when they are woken: they wait until a core is free or
    /// their turn has come. They get as much processor time as before. Where the kernel cannot do this, nothing changes.
    /// </summary>
    internal static unsafe void InterruptNobody()
    {
        var priority = 0;
        _ = SetScheduler(0, BatchPolicy, &priority);
    }

    /// <summary>Changes user, group and supplementary groups of the calling thread alone. The saved ids stay, so that it can change back.</summary>
    internal static bool TrySwitchThread(uint user)
    {
        return SystemCall(SetGroupsNumber, 0, 0, 0, 0) == 0
            && SystemCall(SetGroupIdsNumber, (nint)user, (nint)user, 0, 0) == 0
            && SystemCall(SetUserIdsNumber, (nint)user, (nint)user, 0, 0) == 0;
    }

    /// <summary>Makes the calling thread root again. The user is changed first, because only root may change the group.</summary>
    internal static bool TrySwitchThreadBack()
    {
        return SystemCall(SetUserIdsNumber, 0, 0, 0, 0) == 0 && SystemCall(SetGroupIdsNumber, 0, 0, 0, 0) == 0;
    }

    internal static SafeFileHandle? OpenPidfd(int pid)
    {
        var descriptor = (int)SystemCall(PidfdOpenNumber, pid, 0, 0, 0);
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Sends a signal to the process of the descriptor, never to a later one with its number; false when the process is gone.</summary>
    internal static bool SendSignal(SafeFileHandle pidfd, int signal)
    {
        var held = false;
        try
        {
            pidfd.DangerousAddRef(ref held);
            return SystemCall(PidfdSendSignalNumber, pidfd.DangerousGetHandle(), signal, 0, 0) == 0;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
            {
                pidfd.DangerousRelease();
            }
        }
    }

    /// <summary>A copy of the descriptor at 64 or above, closed on exec, so that no child's descriptor can collide with it.</summary>
    internal static SafeFileHandle DuplicateHigh(int descriptor)
    {
        var copy = Control(descriptor, DuplicateFrom, 64);
        return copy < 0 ? throw Failure("fcntl(F_DUPFD_CLOEXEC)") : new SafeFileHandle(copy, ownsHandle: true);
    }

    internal static void MakeNonBlocking(SafeFileHandle file)
    {
        var descriptor = (int)file.DangerousGetHandle();
        var flags = Control(descriptor, GetStatusFlags, 0);
        if (flags < 0 || Control(descriptor, SetStatusFlags, flags | NonBlocking) < 0)
        {
            throw Failure("fcntl(O_NONBLOCK)");
        }
    }

    /// <summary>Both ends of a new pipe, closed on exec.</summary>
    internal static unsafe (SafeFileHandle Read, SafeFileHandle Write) OpenPipe()
    {
        var ends = stackalloc int[2];
        if (Pipe(ends, CloseOnExec) != 0)
        {
            throw Failure("pipe2");
        }

        return (new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true));
    }

    internal static IOException Failure(string call) => Failure(call, Marshal.GetLastPInvokeError());

    internal static IOException Failure(string call, int error) => new($"{call} failed: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");
}

/// <summary>One bound of <c>prlimit</c>: the present one, and the greatest to which the process may raise it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ResourceLimit
{
    internal ulong Current;
    internal ulong Greatest;
}

/// <summary>The kernel's struct pollfd; the kernel ignores a negative descriptor.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PolledDescriptor(int descriptor, short wanted)
{
    public const short Readable = 1;

    public int Descriptor = descriptor;
    public short Wanted = wanted;
    public short Seen;
}
