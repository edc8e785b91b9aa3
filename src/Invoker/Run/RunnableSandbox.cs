using Frusta.Runtimes;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;

namespace Frusta.Invoker.Run;

/// <summary>A sandbox with the runtime in it and its output: all that a run needs.</summary>
public abstract class RunnableSandbox : IAsyncDisposable
{
    public abstract ISandbox Sandbox { get; }

    public abstract IRuntimeClient Runtime { get; }

    /// <summary>True once nothing can run in it any more.</summary>
    public abstract bool IsDead { get; }

    /// <summary>From here on output belongs to the activation that begins.</summary>
    /// <param name="limitBytes">Bytes of log that it may write; 0 drops all.</param>
    public abstract void BeginOutput(long limitBytes);

    /// <summary>
    /// Reads what the activation wrote if that is little: called when its answer is there, or when there will be none. False when there is more;
    /// to collect that takes as long as the code likes, so it is not to be done on an event loop.
    /// </summary>
    public abstract bool TryReadOutput();

    /// <summary>Takes what the activation wrote, after <see cref="TryReadOutput"/>.</summary>
    /// <param name="failed">True for a developer error, after which a line says that logs might be missing.</param>
    /// <param name="lastWords">A line that is the runtime's though its process could not write it, or null.</param>
    public abstract LogsResult CollectOutput(bool failed, string? lastWords);

    /// <summary>Ends the sandbox and everything that reads from it.</summary>
    public abstract ValueTask DisposeAsync();
}

/// <summary>Whether a kind can run here.</summary>
/// <param name="Family">The interpreter's family; null when the kind cannot run on this host.</param>
/// <param name="Reason">Why it cannot, as a sentence for users; null when it can.</param>
public readonly record struct KindSupport(string? Family, string? Reason);

/// <summary>Makes sandboxes that can run actions.</summary>
public interface ISandboxFactory
{
    /// <summary>Which family runs the kind.</summary>
    KindSupport Find(string kind);

    /// <summary>True when a sandbox of the family serves only actions with the memory that it was started for.</summary>
    bool IsForItsMemoryOnly(string family);

    /// <summary>Sandboxes that this host can hold at a time.</summary>
    int MostSandboxes => int.MaxValue;

    /// <summary>Starts a sandbox with the family's runtime in it, without any code yet.</summary>
    /// <param name="family">As <see cref="Find"/> gave it.</param>
    /// <param name="memoryMb">Megabytes that it may use.</param>
    /// <param name="ahead">True for a stem cell, which has the time to warm up; nobody waits for it.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="SandboxStartException">It did not come up.</exception>
    ValueTask<RunnableSandbox> StartAsync(string family, int memoryMb, bool ahead, CancellationToken cancellationToken);
}
