using System.Diagnostics;

namespace Frusta.Sandboxes;

/// <summary>Lets a bounded number of sandboxes be in the making, and a bounded number wait.</summary>
internal sealed class StartGate(SandboxesOptions options) : IDisposable
{
    private readonly SemaphoreSlim _free = new(options.ConcurrentStarts);
    private int _waiting;

    /// <summary>True while a sandbox is in the making.</summary>
    internal bool IsBusy => _free.CurrentCount < options.ConcurrentStarts;

    /// <exception cref="SandboxStartException">Too many wait already.</exception>
    internal async Task EnterAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (Interlocked.Increment(ref _waiting) > options.WaitingStarts)
            {
                throw new SandboxStartException($"{options.WaitingStarts} sandboxes are waiting to be started ({SandboxesOptions.Section}:{nameof(options.WaitingStarts)}).");
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
