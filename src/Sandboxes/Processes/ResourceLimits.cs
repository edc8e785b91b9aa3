using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Processes;

/// <summary>Bounds that the kernel keeps for one process and hands on to its children.</summary>
internal static class ResourceLimits
{
    private const int FileSize = 1;
    private const int Data = 2;
    private const int Core = 4;
    private const int UserProcesses = 6;
    private const int OpenFiles = 7;
    private const int AddressSpace = 9;

    // Node reserves writable memory that it never touches, thread stacks above all (8 MB for each of about ten threads).
    private const int NodeReserveMb = 256;

    private const int NotPermitted = 1;
    private const int NoSuchProcess = 3;

    // Even a very busy host gives the child a turn long before this time.
    private const int ExecTimeoutMs = 2000;

    /// <summary>Sets the limits of every sandbox, with or without a cgroup.</summary>
    /// <param name="pid">The process.</param>
    /// <param name="fileSizeMb">Greatest file that it may write, in megabytes.</param>
    /// <param name="openFiles">Greatest number of open files.</param>
    /// <param name="processes">Greatest number of processes of its user; null where the sandbox has no user of its own, because the kernel counts by user.</param>
    /// <exception cref="IOException">The kernel refused.</exception>
    internal static void Apply(int pid, int fileSizeMb, int openFiles, int? processes)
    {
        Lower(pid, Core, 0);
        Lower(pid, FileSize, (ulong)fileSizeMb << 20);
        Lower(pid, OpenFiles, (ulong)openFiles);
        if (processes is { } most)
        {
            Lower(pid, UserProcesses, (ulong)most);
        }
    }

    /// <summary>Bounds the memory that a process may reserve, where no cgroup counts its use. The limit may be changed later, up or down.</summary>
    internal static unsafe void LimitMemory(int pid, int megabytes, bool addressSpaceMayBeLimited)
    {
        if (addressSpaceMayBeLimited)
        {
            Set(pid, AddressSpace, (ulong)megabytes << 20);
        }
        else
        {
            Set(pid, Data, (ulong)(megabytes + NodeReserveMb) << 20);
        }
    }

    /// <summary>Sets a bound that the process cannot raise again; a narrower bound stays.</summary>
    private static void Lower(int pid, int resource, ulong value)
    {
        // The kernel lets a parent go on when the child's exec has replaced the memory, a moment before it replaces the saved ids: until then the new user may not
        // set the child's limits.
        var giveUp = Environment.TickCount64 + ExecTimeoutMs;
        while (!TryLower(pid, resource, value) && Marshal.GetLastPInvokeError() is var error and not NoSuchProcess)
        {
            if (error != NotPermitted || Environment.TickCount64 > giveUp)
            {
                throw Libc.Failure("prlimit", error);
            }

            Thread.Yield();
        }
    }

    private static unsafe bool TryLower(int pid, int resource, ulong value)
    {
        ResourceLimit now;
        if (Libc.SetLimit(pid, resource, null, &now) != 0)
        {
            return false;
        }

        var wanted = Math.Min(value, now.Greatest);
        var limit = new ResourceLimit { Current = wanted, Greatest = wanted };
        return Libc.SetLimit(pid, resource, &limit, null) == 0;
    }

    private static unsafe void Set(int pid, int resource, ulong value)
    {
        // Failures are ignored: a process that is gone needs no limits, and only root may raise a limit again, so else the old one stays.
        var limit = new ResourceLimit { Current = value, Greatest = value };
        _ = Libc.SetLimit(pid, resource, &limit, null);
    }
}
