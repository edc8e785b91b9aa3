using Frusta.Runtimes.Output;
using Frusta.Sandboxes;

namespace Frusta.Runtimes;

/// <summary>A sandbox with its runtime and output: all that a run needs, whatever protocol the runtime speaks.</summary>
public abstract class RunnableSandbox : IAsyncDisposable
{
    public abstract ISandbox Sandbox { get; }

    public abstract IRuntimeClient Runtime { get; }

    /// <summary>True once no action can run in the sandbox any more.</summary>
    public abstract bool IsDead { get; }

    /// <summary>Begins an activation's output: from here on all output belongs to it.</summary>
    /// <param name="limitBytes">Bytes of log that it may write; 0 drops all.</param>
    public abstract void BeginOutput(long limitBytes);

    /// <summary>
    /// Reads the activation's output if it is short. To be called when its answer is there, or when there will be none. False when there is more output:
    /// user code decides how long it takes to collect that, so it is not to be done on an event loop.
    /// </summary>
    public abstract bool TryReadOutput();

    /// <summary>Gives the logs of the activation, after <see cref="TryReadOutput"/>.</summary>
    /// <param name="failed">True for a developer error, after which a line says that logs might be missing.</param>
    /// <param name="lastWords">A line of the runtime that its process could not write any more, or null.</param>
    public abstract LogsResult CollectOutput(bool failed, string? lastWords);

    /// <summary>Ends the sandbox and all reading from it.</summary>
    public abstract ValueTask DisposeAsync();
}
