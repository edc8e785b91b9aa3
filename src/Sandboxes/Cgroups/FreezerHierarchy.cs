using Frusta.Sandboxes.Layout;

namespace Frusta.Sandboxes.Cgroups;

/// <summary>The folder of the groups that freeze sandboxes, on a host whose limits are those of cgroup v1: in v2 where it is mounted beside, else in v1.</summary>
internal sealed class FreezerHierarchy
{
    private const string UnifiedMount = "unified";
    private const string SeparateMount = "freezer";
    private readonly string _folder;

    private FreezerHierarchy(string folder, bool isUnified)
    {
        (_folder, IsUnified) = (folder, isUnified);
    }

    /// <summary>True in v2, which counts processor time too.</summary>
    internal bool IsUnified { get; }

    /// <summary>Finds the first freezer that the options allow and that works, and makes this instance's folder in it; null when there is none.</summary>
    internal static FreezerHierarchy? Open(SandboxesOptions options, InstanceFolder instance, string root, string below)
    {
        var v2 = options.Freezer is SandboxesOptions.AutoFreezer or SandboxesOptions.FreezerV2 && TryMake(instance, Path.Combine(root, UnifiedMount), below, FreezerV2.FreezeFile);
        if (v2)
        {
            return new FreezerHierarchy(Path.Combine(root, UnifiedMount, below), isUnified: true);
        }

        var v1 = options.Freezer is SandboxesOptions.AutoFreezer or SandboxesOptions.FreezerV1 && TryMake(instance, Path.Combine(root, SeparateMount), below, FreezerV1.StateFile);
        return v1 ? new FreezerHierarchy(Path.Combine(root, SeparateMount, below), isUnified: false) : null;
    }

    internal Freezer Create(string label)
    {
        var folder = Path.Combine(_folder, label);
        return IsUnified ? new FreezerV2(folder, isOwnGroup: true) : new FreezerV1(folder);
    }

    /// <summary>Removes this instance's folder.</summary>
    /// <exception cref="IOException">A sandbox in it has not ended.</exception>
    internal void Remove()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder);
        }
    }

    private static bool TryMake(InstanceFolder instance, string mounted, string below, string file)
    {
        if (!File.Exists(Path.Combine(mounted, "cgroup.procs")))
        {
            return false;
        }

        try
        {
            var folder = Path.Combine(mounted, below);
            instance.Note(NoteKind.Cgroup, folder);
            Directory.CreateDirectory(folder);
            return File.Exists(Path.Combine(folder, file));
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
