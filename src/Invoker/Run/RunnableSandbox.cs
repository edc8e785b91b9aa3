using Frusta.Contracts.Buffers;
using Frusta.Runtimes;
using Frusta.Sandboxes;

namespace Frusta.Invoker.Run;

/// <summary>A sandbox with the runtime in it and its output: all that a run needs.</summary>
public abstract class RunnableSandbox : IAsyncDisposable
{
    public abstract ISandbox Sandbox { get; }

    public abstract IRuntimeClient Runtime { get; }

    /// <summary>From here on output belongs to the activation that begins.</summary>
    /// <param name="limitBytes">Bytes of log that it may write; 0 drops all.</param>
    public abstract void BeginOutput(long limitBytes);

    /// <summary>
    /// Takes what the activation wrote, as a JSON array of lines appended to the buffer. Called when its answer is there,
    /// or when there will be none.
    /// </summary>
    /// <returns>True when the lines are all there.</returns>
    public abstract bool CollectOutput(PooledBuffer lines);

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

    /// <summary>Starts a sandbox with the family's runtime in it, without any code yet.</summary>
    /// <exception cref="SandboxStartException">It did not come up.</exception>
    ValueTask<RunnableSandbox> StartAsync(string family, int memoryMb, CancellationToken cancellationToken);
}
