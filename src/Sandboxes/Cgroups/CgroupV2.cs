namespace Frusta.Sandboxes.Cgroups;

/// <summary>One group in the unified hierarchy.</summary>
internal sealed class CgroupV2 : Cgroup
{
    private readonly string _folder;

    internal CgroupV2(string folder, int memoryMb, int processes)
    {
        _folder = folder;
        Directory.CreateDirectory(folder);
        WriteFile(folder, "pids.max", processes);

        // Without it the kernel kills one process of a sandbox and leaves the rest in a state that nobody expects.
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

    protected override void KillAll()
    {
        // Linux 5.14; it also reaches what forks faster than we list.
        if (File.Exists(Path.Combine(_folder, "cgroup.kill")))
        {
            WriteFile(_folder, "cgroup.kill", 1);
            return;
        }

        base.KillAll();
    }

    protected override bool TryRemove() => TryRemoveFolder(_folder);
}
