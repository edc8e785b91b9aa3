namespace Frusta.Sandboxes.Cgroups;

/// <summary>A group in each of the three hierarchies that bound something: memory, pids, cpu; and in those that freeze it and count its use of the cores.</summary>
internal sealed class CgroupV1 : Cgroup
{
    /// <summary>Nanoseconds that a group has used of the cores.</summary>
    internal const string CpuTimeFile = "cpuacct.usage";

    private const string MemoryLimit = "memory.limit_in_bytes";
    private const string MemoryAndSwapLimit = "memory.memsw.limit_in_bytes";

    // What waits in sockets is outside of the limit on memory, and is counted only for sockets that are opened after a limit was set on it.
    private const string SocketsLimit = "memory.kmem.tcp.limit_in_bytes";

    private readonly string _memory;
    private readonly string _pids;
    private readonly string[] _others;
    private readonly string? _cpuTime;
    private readonly bool _countsSwap;
    private readonly bool _countsSockets;
    private readonly long _socketBytes;

    /// <param name="memory">The group that bounds memory, to be made as all of them.</param>
    /// <param name="pids">The group that bounds tasks.</param>
    /// <param name="cpu">The group that shares the cores, or null.</param>
    /// <param name="cpuTime">The group that counts the use of the cores, or null where the freezer does or nobody; it may be the one before.</param>
    /// <param name="freezer">Freezes it, or null.</param>
    /// <param name="memoryMb">Bound on memory.</param>
    /// <param name="options">The bounds on tasks and on what waits in sockets.</param>
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
            // The bound with swap may never be below the one without, so which goes first depends on the direction.
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
