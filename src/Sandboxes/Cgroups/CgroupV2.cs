namespace Frusta.Sandboxes.Cgroups;

/// <summary>One group in the unified hierarchy.</summary>
internal sealed class CgroupV2 : Cgroup
{
    private readonly string _folder;

    /// <param name="folder">Folder of the group, which the constructor makes.</param>
    /// <param name="memoryMb">Bound on memory in megabytes.</param>
    /// <param name="processes">Bound on tasks.</param>
    /// <param name="freezes">True when the sandbox can be paused.</param>
    internal CgroupV2(string folder, int memoryMb, int processes, bool freezes)
        : base(freezes ? new FreezerV2(folder, isOwnGroup: false) : null)
    {
        _folder = folder;
        Directory.CreateDirectory(folder);
        WriteFile(folder, "pids.max", processes);

        // Without this the kernel kills one process of a sandbox, and the other processes are not prepared for that.
        WriteFile(folder, "memory.oom.group", 1);
        if (File.Exists(Path.Combine(folder, "memory.swap.max")))
        {
            WriteFile(folder, "memory.swap.max", 0);
        }

        if (File.Exists(Path.Combine(folder, "cpu.weight")))
        {
            WriteFile(folder, "cpu.weight", 100);
        }

        LimitMemory(memoryMb);
    }

    internal override long MemoryKills => ReadField(_folder, "memory.events", "oom_kill");

    protected override string ProcessFolder => _folder;

    internal override void Attach(int pid) => WriteFile(_folder, "cgroup.procs", pid);

    internal override void LimitMemory(int megabytes) => WriteFile(_folder, "memory.max", (long)megabytes << 20);

    internal override long MeasureMemory() =>
        Math.Max(0, ParseNumber(ReadFile(_folder, "memory.current")) - ReadField(_folder, "memory.stat", "inactive_file"));

    internal override long MeasureSockets() => ReadField(_folder, "memory.stat", "sock");

    internal override TimeSpan? MeasureCpuTime() => FreezerV2.MeasureCpuTime(_folder);

    protected override void KillAll()
    {
        if (!FreezerV2.TryKill(_folder))
        {
            base.KillAll();
        }
    }

    protected override bool TryRemove() => TryRemoveFolder(_folder);
}
