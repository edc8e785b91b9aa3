using System.Threading.Tasks.Sources;

namespace Frusta.Contracts.Json;

/// <summary>The turn of one request in <see cref="JsonWorkers"/>: it runs on the thread pool until it enters, and on the workers' threads from then on.</summary>
/// <remarks>
/// It is the synchronization context of the request, so all methods of the request move to the new thread, whichever of them enters. For that all of them
/// must be waiting when the method that entered goes on: so that method goes on only once the piece of the request in which it entered is over. The caller
/// outside of the request goes on on the thread pool.
/// </remarks>
public sealed class JsonTurn : SynchronizationContext, IValueTaskSource<bool>, IDisposable
{
    private readonly JsonWorkers _workers;
    private readonly string _namespaceUuid;
    private (SendOrPostCallback Callback, object? State)? _entering;
    private bool _isOver;

    internal JsonTurn(JsonWorkers workers, string namespaceUuid)
    {
        _workers = workers;
        _namespaceUuid = namespaceUuid;
    }

    internal bool HasEntered => Line is not null;

    /// <summary>The line of its namespace; null before it enters and when it is over. <see cref="JsonWorkers"/> changes it under its lock.</summary>
    internal JsonWorkers.Line? Line { get; set; }

    /// <summary>
    /// Moves the request that runs now to the threads for large JSON, if so many bytes are too many for an event loop. Outside of a turn nothing happens.
    /// </summary>
    /// <param name="bytes">Bytes of JSON that are about to be read, merged or written.</param>
    /// <returns>False when too many requests have entered already: the caller refuses this one.</returns>
    public static ValueTask<bool> EnterForAsync(long bytes) =>
        Current is JsonTurn turn && turn._workers.IsLarge(bytes) ? EnterAsync() : new ValueTask<bool>(true);

    /// <summary>Ends the turn. Its methods go on on the thread pool after that.</summary>
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
                piece.turn.PieceIsOver();
            },
            (turn: this, d, state),
            preferLocal: false);
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("A turn is never waited for while a thread is held.");

    public override SynchronizationContext CreateCopy() => this;

    internal bool IsOf(JsonWorkers workers) => _workers == workers;

    /// <summary>A piece of the request that ran on the thread pool is over, so all methods of the request wait: the one that has entered goes on.</summary>
    internal void PieceIsOver()
    {
        if (_entering is var (callback, state))
        {
            _entering = null;
            _workers.TryEnqueue(this, callback, state);
        }
    }

    /// <summary>Moves the request that runs now to the workers' threads. To be awaited at once.</summary>
    /// <returns>False when too many requests have entered already.</returns>
    internal static ValueTask<bool> EnterAsync()
    {
        var turn = (JsonTurn)Current!;
        if (turn.HasEntered || Volatile.Read(ref turn._isOver))
        {
            return new ValueTask<bool>(true);
        }

        turn.Line = turn._workers.TryEnter(turn._namespaceUuid);
        return turn.HasEntered ? new ValueTask<bool>(turn, 0) : new ValueTask<bool>(false);
    }

    bool IValueTaskSource<bool>.GetResult(short token) => true;

    /// <remarks>Always pending, since the wait itself changes the thread.</remarks>
    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => ValueTaskSourceStatus.Pending;

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _entering = (new SendOrPostCallback(continuation), state);
}
