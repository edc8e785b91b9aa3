using System.Globalization;
using Frusta.Sandboxes;

namespace Frusta.Runtimes.Families;

/// <summary>How sandboxes of one kind are started on this host.</summary>
/// <param name="Kind">Such as <c>nodejs:20</c>.</param>
/// <param name="Family">How its runner behaves.</param>
/// <param name="Command">Program and arguments, with <c>{heap}</c> for the megabytes of the heap.</param>
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
    private const string Heap = "{heap}";
    private const int LargestHeapMb = 4096;

    /// <summary>True when a process of this kind is started for a certain amount of memory: another limit later would not be known to it.</summary>
    public bool IsForItsMemoryOnly => Command.Any(static argument => argument.Contains(Heap, StringComparison.Ordinal));

    /// <summary>What to start for an action with this much memory.</summary>
    /// <remarks>
    /// The heap may have seven eighths of it: more would be ended by the limit before Node looks for garbage, and with less an action
    /// would not fit here that fits into OpenWhisk's image. By itself Node sees the memory of the whole machine in a sandbox.
    /// </remarks>
    public SandboxSpec ToSpec(int memoryMb) => new()
    {
        Purpose = Kind.Replace(':', '-'),
        Command = [.. Command.Select(argument => argument.Replace(
            Heap, Math.Min(memoryMb * 7 / 8, LargestHeapMb).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal))],
        Environment = Environment,
        Mounts = Mounts,
        MemoryMb = memoryMb,
        AddressSpaceMayBeLimited = AddressSpaceMayBeLimited,
    };
}
