using Frusta.Contracts.Entities;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Serve;

/// <summary>
/// Has the sandboxes of an action end when it was replaced or deleted. It is told which document to look at and reads there what holds now: so it does not
/// matter in which order it hears of two writes, or whether a call with an older revision came after the news.
/// </summary>
/// <remarks>Documents wait to be looked at once each, however often they change: as many as the pool knows at most.</remarks>
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
                // They are ended when they have been idle for long enough.
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

    [LoggerMessage(7020, LogLevel.Warning, "Whether {Action} has changed could not be read; sandboxes of what it was end when they have been idle for long.")]
    private partial void LogLookFailed(Exception exception, string action);
}
