namespace Frusta.Sandboxes.Cgroups;

/// <summary>A group in the hierarchy <c>freezer</c>.</summary>
internal sealed class FreezerV1 : Freezer
{
    /// <summary>The file that says whether a group is frozen.</summary>
    internal const string StateFile = "freezer.state";

    private const string Frozen = "FROZEN";
    private const string Thawed = "THAWED";
    private readonly string _folder;

    internal FreezerV1(string folder)
    {
        _folder = folder;
        Directory.CreateDirectory(folder);
    }

    protected override bool KeepsTheKilled => true;

    /// <summary>Thaws a group that a killed server left.</summary>
    internal static void Thaw(string folder) => File.WriteAllText(Path.Combine(folder, StateFile), Thawed);

    internal override void Attach(int pid) => Cgroup.WriteFile(_folder, "cgroup.procs", pid);

    internal override bool TryRemove() => Cgroup.TryRemoveFolder(_folder);

    protected override void Set(bool frozen) => File.WriteAllText(Path.Combine(_folder, StateFile), frozen ? Frozen : Thawed);
}
