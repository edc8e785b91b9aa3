using Frusta.Runtimes.Output;
using Frusta.Sandboxes;

namespace Frusta.Runtimes;

/// <summary>A sandbox with the runtime in it and its output: all that a run needs, however the runtime is spoken to.</summary>
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
