namespace Frusta.Sandboxes.Cgroups;

/// <summary>A group in each of the three hierarchies that bound something: memory, pids, cpu.</summary>
internal sealed class CgroupV1 : Cgroup
{
    private const string MemoryLimit = "memory.limit_in_bytes";
    private const string MemoryAndSwapLimit = "memory.memsw.limit_in_bytes";

    // What waits in sockets is outside of the limit on memory, and is counted only for sockets that are opened after a limit was set on it.
    private const string SocketsLimit = "memory.kmem.tcp.limit_in_bytes";

    private readonly string _memory;
    private readonly string _pids;
    private readonly string? _cpu;
    private readonly bool _countsSwap;
    private readonly bool _countsSockets;
    private readonly long _socketBytes;

    internal CgroupV1(string memory, string pids, string? cpu, int memoryMb, SandboxesOptions options)
    {
        (_memory, _pids, _cpu) = (memory, pids, cpu);
        _socketBytes = (long)options.SocketMemoryMb << 20;
        Directory.CreateDirectory(memory);
        Directory.CreateDirectory(pids);
        WriteFile(pids, "pids.max", options.Processes);
        if (cpu is not null)
        {
            Directory.CreateDirectory(cpu);
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
        if (_cpu is not null)
        {
            WriteFile(_cpu, "cgroup.procs", pid);
        }
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

    internal override long MeasureSockets() => _countsSockets ? ParseNumber(ReadFile(_memory, "memory.kmem.tcp.usage_in_bytes")) : 0;

    protected override bool TryRemove() =>
        TryRemoveFolder(_memory) & TryRemoveFolder(_pids) & (_cpu is null || TryRemoveFolder(_cpu));
}
