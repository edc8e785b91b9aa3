namespace Frusta.Sandboxes.Cgroups;

/// <summary>A group in the unified hierarchy: that of the sandbox's limits, or a group of its own where the limits are those of v1.</summary>
internal sealed class FreezerV2 : Freezer
{
    /// <summary>The file that freezes a group.</summary>
    internal const string FreezeFile = "cgroup.freeze";

    private const string KillFile = "cgroup.kill";
    private readonly string _folder;
    private readonly bool _isOwnGroup;

    /// <param name="folder">The group.</param>
    /// <param name="isOwnGroup">False when the group is that of the limits: <see cref="CgroupV2"/> then makes, fills and removes it.</param>
    internal FreezerV2(string folder, bool isOwnGroup)
    {
        (_folder, _isOwnGroup) = (folder, isOwnGroup);
        if (isOwnGroup)
        {
            Directory.CreateDirectory(folder);
        }
    }

    protected override bool KeepsTheKilled => false;

    internal override void Attach(int pid)
    {
        if (_isOwnGroup)
        {
            Cgroup.WriteFile(_folder, "cgroup.procs", pid);
        }
    }

    internal override bool TryRemove() => !_isOwnGroup || Cgroup.TryRemoveFolder(_folder);

    /// <summary>Kills all processes of the group, also when they fork faster than they can be listed; false on a kernel before Linux 5.14.</summary>
    internal static bool TryKill(string folder)
    {
        if (!File.Exists(Path.Combine(folder, KillFile)))
        {
            return false;
        }

        Cgroup.WriteFile(folder, KillFile, 1);
        return true;
    }

    internal bool TryKill() => TryKill(_folder);

    /// <summary>Processor time that all processes which were ever in the group have used. The kernel counts it whatever controllers there are.</summary>
    internal static TimeSpan MeasureCpuTime(string folder) => TimeSpan.FromMicroseconds(Cgroup.ReadField(folder, "cpu.stat", "usage_usec"));

    internal TimeSpan MeasureCpuTime() => MeasureCpuTime(_folder);

    protected override void Set(bool frozen) => Cgroup.WriteFile(_folder, FreezeFile, frozen ? 1 : 0);
}
