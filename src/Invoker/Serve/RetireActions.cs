using Frusta.Contracts.Entities;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Serve;

/// <summary>
/// Ends the sandboxes of an action when it was replaced or deleted. The news names only the document; the revision that holds is read from the store. So the
/// order in which two writes are heard of does not matter, nor whether a call with an older revision comes after the news.
/// </summary>
/// <remarks>A document waits at most once to be looked at, however often it changes: so no more wait than the pool knows.</remarks>
internal sealed partial class RetireActions(IEntityStore store, PoolDriver pool, ILogger logger, CancellationToken stopping)
{
    private readonly Lock _lock = new();
    private readonly HashSet<string> _waiting = new(StringComparer.Ordinal);
    private bool _looking;

    /// <summary>The document was written or deleted, or the pool has just got to know one of its revisions. Never waits.</summary>
    public void Look(string documentId)
    {
        lock (_lock)
        {
            if (!_waiting.Add(documentId) || _looking)
            {
                return;
            }

            _looking = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static retire => _ = retire.LookAsync(), this, preferLocal: false);
    }

    private async Task LookAsync()
    {
        while (TakeNext() is { } documentId)
        {
            try
            {
                var document = await store.GetAsync(documentId, stopping);
                pool.Retire(documentId, (document as ActionDocument)?.Revision);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception exception)
            {
                // Without this look the sandboxes end when they have been idle for the idle timeout.
                LogLookFailed(exception, documentId);
            }
        }
    }

    private string? TakeNext()
    {
        lock (_lock)
        {
            foreach (var documentId in _waiting)
            {
                _waiting.Remove(documentId);
                return documentId;
            }

            _looking = false;
            return null;
        }
    }

    [LoggerMessage(7020, LogLevel.Warning,
        "Action {Action} could not be read to see whether it has changed; sandboxes of its older revisions end only after Invoker:Pool:IdleTimeoutMs.")]
    private partial void LogLookFailed(Exception exception, string action);
}
