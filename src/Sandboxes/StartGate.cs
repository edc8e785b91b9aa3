using System.Diagnostics;

namespace Frusta.Sandboxes;

/// <summary>Bounds the sandboxes that are in the making at a time, and the starts that wait for their turn.</summary>
internal sealed class StartGate(SandboxesOptions options) : IDisposable
{
    private readonly SemaphoreSlim _free = new(options.ConcurrentStarts);
    private int _waiting;

    /// <summary>True while a sandbox is in the making.</summary>
    internal bool IsBusy => _free.CurrentCount < options.ConcurrentStarts;

    /// <summary>Waits until a sandbox may be started. The caller then calls <see cref="Leave"/> when it is started, or has failed.</summary>
    /// <exception cref="SandboxStartException">Too many starts wait already.</exception>
    internal async Task EnterAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (Interlocked.Increment(ref _waiting) > options.WaitingStarts)
            {
                throw new SandboxStartException($"{options.WaitingStarts} sandboxes are waiting to be started, and no more may ({SandboxesOptions.Section}:{nameof(options.WaitingStarts)}).");
            }

            await _free.WaitAsync(cancellationToken);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    internal void Leave()
    {
        Debug.Assert(IsBusy, "More left than entered.");
        _free.Release();
    }

    public void Dispose() => _free.Dispose();
}
