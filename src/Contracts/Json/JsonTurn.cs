using System.Threading.Tasks.Sources;

namespace Frusta.Contracts.Json;

/// <summary>One request's way through <see cref="JsonWorkers"/>: on the thread pool until it enters, on their threads from then on.</summary>
/// <remarks>
/// It is the synchronization context of the request, so that all of its methods move with it, whichever of them enters. Whoever called the request from
/// outside of it goes on on the thread pool.
/// </remarks>
public sealed class JsonTurn : SynchronizationContext, IValueTaskSource<bool>, IDisposable
{
    private readonly JsonWorkers _workers;
    private readonly string _namespaceUuid;
    private bool _isOver;

    internal JsonTurn(JsonWorkers workers, string namespaceUuid)
    {
        _workers = workers;
        _namespaceUuid = namespaceUuid;
    }

    internal bool HasEntered => Line is not null;

    /// <summary>Where it stands; null before it enters and when it is over. Changed by <see cref="JsonWorkers"/> under its lock.</summary>
    internal JsonWorkers.Line? Line { get; set; }

    /// <summary>Where so many bytes are too many for an event loop, the request that runs now goes on on the threads for such things. Outside of a turn nothing happens.</summary>
    /// <param name="bytes">Of JSON that is about to be read, merged or written.</param>
    /// <returns>False when too many requests have entered already: this one is to be refused.</returns>
    public static ValueTask<bool> EnterForAsync(long bytes) =>
        Current is JsonTurn turn && turn._workers.IsLarge(bytes) ? turn.EnterAsync() : new ValueTask<bool>(true);

    /// <summary>Ends the turn. What its methods do after that is done on the thread pool.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _isOver, true);
        _workers.Leave(this);
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (_workers.TryEnqueue(this, d, state))
        {
            return;
        }

        ThreadPool.UnsafeQueueUserWorkItem(
            static piece =>
            {
                SetSynchronizationContext(Volatile.Read(ref piece.turn._isOver) ? null : piece.turn);
                piece.d(piece.state);
                SetSynchronizationContext(null);
            },
            (turn: this, d, state),
            preferLocal: false);
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("Nobody waits for a turn while holding a thread.");

    public override SynchronizationContext CreateCopy() => this;

    internal bool IsOf(JsonWorkers workers) => _workers == workers;

    /// <summary>To be awaited at once. False when too many requests have entered already.</summary>
    internal ValueTask<bool> EnterAsync()
    {
        if (HasEntered || Volatile.Read(ref _isOver))
        {
            return new ValueTask<bool>(true);
        }

        Line = _workers.TryEnter(_namespaceUuid);
        return HasEntered ? new ValueTask<bool>(this, 0) : new ValueTask<bool>(false);
    }

    bool IValueTaskSource<bool>.GetResult(short token) => true;

    /// <remarks>Never done before it is awaited: it is the wait that changes the thread.</remarks>
    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => ValueTaskSourceStatus.Pending;

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _workers.TryEnqueue(this, new SendOrPostCallback(continuation), state);
}
