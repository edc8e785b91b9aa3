namespace Frusta.Runtimes.Families;

/// <summary>The languages that run on a host's own interpreters.</summary>
public static class RuntimeFamilies
{
    /// <summary>All of them, in the order of the start screen.</summary>
    public static IReadOnlyList<RuntimeFamily> All { get; } = [new NodeFamily(), new PythonFamily()];

    /// <summary>Whether the folder has the runner of at least one of them.</summary>
    internal static bool HasRunners(string folder) => All.Any(family => File.Exists(Path.Combine(folder, family.Runner)));
}
