namespace Frusta.Sandboxes.Cgroups;

/// <summary>A sandbox's groups in the hierarchies of v1: memory, pids and cpu bound it; others freeze it and count its processor time.</summary>
internal sealed class CgroupV1 : Cgroup
{
    /// <summary>The file with a group's processor time in nanoseconds.</summary>
    internal const string CpuTimeFile = "cpuacct.usage";

    private const string MemoryLimit = "memory.limit_in_bytes";
    private const string MemoryAndSwapLimit = "memory.memsw.limit_in_bytes";

    // Bytes in sockets do not count as memory. They are counted only for sockets that are opened after this limit was set.
    private const string SocketsLimit = "memory.kmem.tcp.limit_in_bytes";

    private readonly string _memory;
    private readonly string _pids;
    private readonly string[] _others;
    private readonly string? _cpuTime;
    private readonly bool _countsSwap;
    private readonly bool _countsSockets;
    private readonly long _socketBytes;

    /// <param name="memory">Folder of the group that bounds memory. The constructor makes this and the other folders.</param>
    /// <param name="pids">The group that bounds tasks.</param>
    /// <param name="cpu">The group that shares the cores, or null.</param>
    /// <param name="cpuTime">
    /// The group that counts processor time, which may be that of <paramref name="cpu"/>; null where the freezer's group counts it, or none.
    /// </param>
    /// <param name="freezer">Freezes the sandbox, or null.</param>
    /// <param name="memoryMb">Bound on memory in megabytes.</param>
    /// <param name="options">The bounds on tasks and on bytes in sockets.</param>
    internal CgroupV1(string memory, string pids, string? cpu, string? cpuTime, Freezer? freezer, int memoryMb, SandboxesOptions options)
        : base(freezer)
    {
        (_memory, _pids, _cpuTime) = (memory, pids, cpuTime);
        _socketBytes = (long)options.SocketMemoryMb << 20;
        _others = [.. new[] { cpu, cpuTime }.OfType<string>().Distinct(StringComparer.Ordinal)];
        Directory.CreateDirectory(memory);
        Directory.CreateDirectory(pids);
        WriteFile(pids, "pids.max", options.Processes);
        foreach (var folder in _others)
        {
            Directory.CreateDirectory(folder);
        }

        _countsSwap = File.Exists(Path.Combine(memory, MemoryAndSwapLimit));
        _countsSockets = File.Exists(Path.Combine(memory, SocketsLimit));
        LimitMemory(memoryMb);
    }

    internal override long MemoryKills => ReadField(_memory, "memory.oom_control", "oom_kill");

    protected override string ProcessFolder => _pids;

    internal override void Attach(int pid)
    {
        WriteFile(_memory, "cgroup.procs", pid);
        WriteFile(_pids, "cgroup.procs", pid);
        foreach (var folder in _others)
        {
            WriteFile(folder, "cgroup.procs", pid);
        }

        Freezer?.Attach(pid);
    }

    internal override void LimitMemory(int megabytes)
    {
        var bytes = (long)megabytes << 20;
        if (_countsSwap)
        {
            // The bound with swap may never be below the one without, so a higher bound is set with swap first, and a lower one without.
            var raises = bytes > ParseNumber(ReadFile(_memory, MemoryLimit));
            WriteFile(_memory, raises ? MemoryAndSwapLimit : MemoryLimit, bytes);
            WriteFile(_memory, raises ? MemoryLimit : MemoryAndSwapLimit, bytes);
        }
        else
        {
            WriteFile(_memory, MemoryLimit, bytes);
        }

        if (_countsSockets)
        {
            WriteFile(_memory, SocketsLimit, Math.Min(bytes, _socketBytes));
        }
    }

    internal override long MeasureMemory() =>
        Math.Max(0, ParseNumber(ReadFile(_memory, "memory.usage_in_bytes")) - ReadField(_memory, "memory.stat", "total_inactive_file"))
        + MeasureSockets();

    internal override bool CountsSocketsApart => _countsSockets;

    internal override long MeasureSockets() => _countsSockets ? ParseNumber(ReadFile(_memory, "memory.kmem.tcp.usage_in_bytes")) : 0;

    internal override TimeSpan? MeasureCpuTime()
    {
        if (Freezer is FreezerV2 unified)
        {
            return unified.MeasureCpuTime();
        }

        return _cpuTime is null ? null : TimeSpan.FromMicroseconds(ParseNumber(ReadFile(_cpuTime, CpuTimeFile)) / 1000);
    }

    protected override void KillAll()
    {
        if (Freezer is not FreezerV2 unified || !unified.TryKill())
        {
            base.KillAll();
        }
    }

    protected override bool TryRemove()
    {
        var removed = TryRemoveFolder(_memory) & TryRemoveFolder(_pids) & (Freezer?.TryRemove() ?? true);
        foreach (var folder in _others)
        {
            removed &= TryRemoveFolder(folder);
        }

        return removed;
    }
}
