using Frusta.Sandboxes;

namespace Frusta.Runtimes;

/// <summary>Whether a kind can run here.</summary>
/// <param name="Family">The interpreter's family; null when the kind cannot run on this host.</param>
/// <param name="Reason">Why it cannot, as a sentence for users; null when it can.</param>
public readonly record struct KindSupport(string? Family, string? Reason);

/// <summary>Makes sandboxes that can run actions.</summary>
public interface ISandboxFactory
{
    /// <summary>The family that runs the kind, or the reason why none does.</summary>
    KindSupport Find(string kind);

    /// <summary>True when a sandbox of the family serves only actions with the memory that it was started for.</summary>
    bool IsForItsMemoryOnly(string family);

    /// <summary>Sandboxes that this host can hold at a time.</summary>
    int MostSandboxes => int.MaxValue;

    /// <summary>Starts a sandbox with the family's runtime in it, without any code yet.</summary>
    /// <param name="family">As <see cref="Find"/> gave it.</param>
    /// <param name="memoryMb">Megabytes that the sandbox may use.</param>
    /// <param name="ahead">True for a stem cell, which has the time to warm up: no activation waits for it.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="SandboxStartException">The sandbox did not start; the message says why.</exception>
    ValueTask<RunnableSandbox> StartAsync(string family, int memoryMb, bool ahead, CancellationToken cancellationToken);
}
