using Frusta.Sandboxes;

namespace Frusta.Runtimes.Families;

/// <summary>How sandboxes of one kind are started on this host.</summary>
/// <param name="Kind">Such as <c>nodejs:20</c>.</param>
/// <param name="Family">Its language.</param>
/// <param name="Program">The interpreter.</param>
/// <param name="Arguments">The interpreter's arguments behind the language's flags for memory.</param>
/// <param name="Environment">The whole environment at the start.</param>
/// <param name="Mounts">Folders that the sandbox must see besides the system's own.</param>
public sealed record RuntimeRecipe(
    string Kind,
    RuntimeFamily Family,
    string Program,
    IReadOnlyList<string> Arguments,
    IReadOnlyDictionary<string, string> Environment,
    IReadOnlyList<SandboxMount> Mounts)
{
    /// <summary>The sandbox to start for an action with this many megabytes of memory.</summary>
    public SandboxSpec ToSpec(int memoryMb) => new()
    {
        Purpose = Kind.Replace(':', '-'),
        Command = [Program, .. Family.MemoryFlags(memoryMb), .. Arguments],
        Environment = Environment,
        Mounts = Mounts,
        MemoryMb = memoryMb,
        AddressSpaceMayBeLimited = Family.AddressSpaceMayBeLimited,
    };
}
