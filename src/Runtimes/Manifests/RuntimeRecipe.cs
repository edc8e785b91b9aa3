using Frusta.Sandboxes;

namespace Frusta.Runtimes.Manifests;

/// <summary>How sandboxes of one kind are started on this host.</summary>
/// <param name="Kind">Such as <c>nodejs:20</c>.</param>
/// <param name="Family">How its runner behaves.</param>
/// <param name="Command">Program and arguments, with <c>{channel}</c> for the path of the socket.</param>
/// <param name="Environment">The whole environment at the start.</param>
/// <param name="Mounts">What must be seen inside, beside the system's own folders.</param>
/// <param name="AddressSpaceMayBeLimited">See <see cref="SandboxSpec.AddressSpaceMayBeLimited"/>.</param>
public sealed record RuntimeRecipe(
    string Kind,
    RuntimeFamily Family,
    IReadOnlyList<string> Command,
    IReadOnlyDictionary<string, string> Environment,
    IReadOnlyList<SandboxMount> Mounts,
    bool AddressSpaceMayBeLimited)
{
    /// <summary>What to start for an action with this much memory.</summary>
    public SandboxSpec ToSpec(int memoryMb) => new()
    {
        Purpose = Kind.Replace(':', '-'),
        Command = Command,
        Environment = Environment,
        Mounts = Mounts,
        MemoryMb = memoryMb,
        AddressSpaceMayBeLimited = AddressSpaceMayBeLimited,
    };
}
