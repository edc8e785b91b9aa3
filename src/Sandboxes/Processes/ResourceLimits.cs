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

    /// <summary>What every sandbox gets, with or without a cgroup.</summary>
    internal static unsafe void Apply(int pid, SandboxesOptions options, bool countProcesses)
    {
        Set(pid, Core, 0);
        Set(pid, FileSize, (ulong)options.FileSizeMb << 20);
        Set(pid, OpenFiles, (ulong)options.OpenFiles);
        if (countProcesses)
        {
            Set(pid, UserProcesses, (ulong)options.Processes);
        }
    }

    /// <summary>The same bounds as arguments of <c>prlimit</c>. That on processes counts by user, so it is for sandboxes that have one of their own.</summary>
    internal static string[] Words(SandboxesOptions options, bool countProcesses)
    {
        string[] always = ["--core=0", $"--fsize={(long)options.FileSizeMb << 20}", $"--nofile={options.OpenFiles}"];
        return countProcesses ? [.. always, $"--nproc={options.Processes}"] : always;
    }

    /// <summary>Bounds memory by what a process may reserve, where no cgroup counts what it uses. The limit may be changed later, up or down.</summary>
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

    private static unsafe void Set(int pid, int resource, ulong value)
    {
        // A process that is gone needs no limits, and raising again what we lowered takes root: then the old bound stays.
        var limit = new ResourceLimit { Current = value, Greatest = value };
        _ = Libc.SetLimit(pid, resource, &limit, null);
    }
}
