using System.Threading.Tasks.Sources;

namespace Frusta.Contracts.Json;

/// <summary>One turn on a thread of <see cref="JsonWorkers"/>, from its await to its disposal.</summary>
/// <remarks>
/// It is the synchronization context of the method that entered, so that this method is back on its thread behind each wait, and no other turn has
/// that thread meanwhile. Callers of that method, and all after the disposal, go on on the thread pool.
/// </remarks>
public sealed class JsonTurn : SynchronizationContext, IValueTaskSource<JsonTurn?>, IDisposable
{
    private readonly JsonWorkers _workers;
    private readonly object _gate = new();
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _posted = new();
    private Action<object?>? _continuation;
    private object? _state;
    private int _depth = 1;
    private bool _begun;

    internal JsonTurn(JsonWorkers workers, JsonWorkers.Line line)
    {
        _workers = workers;
        Line = line;
    }

    internal JsonWorkers.Line Line { get; }

    internal bool IsOver => Volatile.Read(ref _depth) == 0;

    /// <summary>Ends the turn, or the part of it that was entered last.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref _depth) != 0)
        {
            return;
        }

        if (Current == this)
        {
            SetSynchronizationContext(null);
        }

        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        lock (_gate)
        {
            if (!IsOver)
            {
                _posted.Enqueue((d, state));
                Monitor.PulseAll(_gate);
                return;
            }
        }

        ThreadPool.UnsafeQueueUserWorkItem(static work => work.d(work.state), (d, state), preferLocal: false);
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("Nobody waits for a turn while holding a thread.");

    public override SynchronizationContext CreateCopy() => this;

    internal bool IsOf(JsonWorkers workers) => _workers == workers;

    internal JsonTurn Again()
    {
        Interlocked.Increment(ref _depth);
        return this;
    }

    /// <summary>Runs the code that has the turn, on this thread, until it has disposed it.</summary>
    internal void Run()
    {
        SetSynchronizationContext(this);
        Volatile.Write(ref _begun, true);
        _continuation!(_state);
        while (TryNext(out var next))
        {
            SetSynchronizationContext(this);
            next.Callback(next.State);
        }

        SetSynchronizationContext(null);
    }

    JsonTurn? IValueTaskSource<JsonTurn?>.GetResult(short token) => this;

    ValueTaskSourceStatus IValueTaskSource<JsonTurn?>.GetStatus(short token) =>
        Volatile.Read(ref _begun) ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Pending;

    /// <remarks>The turn is queued for a thread only now, when somebody awaits it. The caller goes on on that thread, whatever its context was.</remarks>
    void IValueTaskSource<JsonTurn?>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        (_continuation, _state) = (continuation, state);
        _workers.Enqueue(this);
    }

    private bool TryNext(out (SendOrPostCallback Callback, object? State) next)
    {
        lock (_gate)
        {
            while (!_posted.TryDequeue(out next))
            {
                if (IsOver)
                {
                    return false;
                }

                Monitor.Wait(_gate);
            }

            return true;
        }
    }
}
