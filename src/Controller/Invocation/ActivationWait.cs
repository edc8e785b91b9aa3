using System.Collections.Concurrent;
using System.Threading.Tasks.Sources;
using Frusta.Bus;
using Frusta.Contracts.Messages;
using Frusta.Controller.Entitlement;

namespace Frusta.Controller.Invocation;

/// <summary>
/// The reply of one activation: keeps its place among the namespace's activations in flight until it ends, and hands
/// the end to the call that waits for it, if one does.
/// </summary>
/// <remarks>
/// Used again and again. Up to three hold it: the bus until the activation has ended, the waiting call, and the wheel
/// while it is linked there. Only the last to let go gives it back, so nobody ever touches the next user's.
/// </remarks>
internal sealed class ActivationWait : IActivationReply, IValueTaskSource<bool>
{
    private const int Waiting = 0;
    private const int Over = 1;

    private readonly ActivationWaits _pool;
    private ManualResetValueTaskSourceCore<bool> _source;
    private NamespaceLoad? _load;
    private FinishedActivation? _finished;
    private int _state;
    private int _holders;

    public ActivationWait(ActivationWaits pool) => _pool = pool;

    // The place in the wheel; guarded by the stripe.
    internal WaitWheel.Stripe? Stripe { get; set; }

    internal ActivationWait? Next { get; set; }

    internal ActivationWait? Previous { get; set; }

    internal long DueTick { get; set; }

    internal bool IsLinked { get; set; }

    internal bool IsOver => Volatile.Read(ref _state) != Waiting;

    /// <summary>Begins an activation that is about to be sent, and keeps its place in flight from here on.</summary>
    internal void Begin(NamespaceLoad load, bool waits)
    {
        _load = load;
        _state = waits ? Waiting : Over;
        _holders = waits ? 2 : 1;
        _source.Reset();
        _source.RunContinuationsAsynchronously = false;
        Stripe = null;
    }

    /// <summary>The activation was not sent after all: gives everything back.</summary>
    internal void Abandon()
    {
        LeaveFlight();
        _state = Over;
        _holders = 1;
        ReleaseHold();
    }

    /// <summary>Nobody knows whether the activation was sent: it no longer counts, and this object is left to the collector.</summary>
    internal void GiveUp()
    {
        Interlocked.Exchange(ref _state, Over);
        LeaveFlight();
    }

    /// <summary>Waits at most that long. The caller calls <see cref="TakeFinished"/> afterwards, once.</summary>
    /// <returns>True when the activation has ended, false when the wait has.</returns>
    internal ValueTask<bool> WaitAsync(int milliseconds)
    {
        _pool.Wheel.Add(this, milliseconds);
        return new ValueTask<bool>(this, _source.Version);
    }

    /// <summary>What ended, its record held for the caller; null when the wait ended first, or the record was refused. The call lets go with it.</summary>
    /// <param name="ended">What <see cref="WaitAsync"/> came to.</param>
    internal FinishedActivation? TakeFinished(bool ended)
    {
        var finished = ended ? _finished : null;
        ReleaseHold();
        return finished;
    }

    /// <summary>The activation has ended. The continuation runs here: the thread that brings the end also sends the answer.</summary>
    public void Complete(FinishedActivation finished)
    {
        LeaveFlight();
        if (Volatile.Read(ref _state) == Waiting)
        {
            finished.Record.Retain();
            _finished = finished;
            if (Interlocked.CompareExchange(ref _state, Over, Waiting) == Waiting)
            {
                _pool.Wheel.Remove(this);
                _source.SetResult(true);
            }
            else
            {
                finished.Record.Dispose();
            }
        }

        ReleaseHold();
    }

    /// <summary>The activation has ended without a record: the call ends with nothing.</summary>
    public void Refuse()
    {
        LeaveFlight();
        if (Interlocked.CompareExchange(ref _state, Over, Waiting) == Waiting)
        {
            _pool.Wheel.Remove(this);
            _source.SetResult(true);
        }

        ReleaseHold();
    }

    /// <summary>The wait has ended. Its continuation does not run on the wheel's thread, which has others to look after.</summary>
    internal void TimeOut()
    {
        if (Interlocked.CompareExchange(ref _state, Over, Waiting) == Waiting)
        {
            _source.RunContinuationsAsynchronously = true;
            _source.SetResult(false);
        }
    }

    internal void HoldForWheel() => Interlocked.Increment(ref _holders);

    internal void ReleaseHold()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            _finished = null;
            _pool.Return(this);
        }
    }

    private void LeaveFlight() => Interlocked.Exchange(ref _load, null)?.Leave();

    bool IValueTaskSource<bool>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}

/// <summary>The waits that can be used again, and the wheel that ends them.</summary>
internal sealed class ActivationWaits(TimeProvider clock, int capacity) : IDisposable
{
    private readonly ConcurrentQueue<ActivationWait> _free = new();
    private int _count;

    public WaitWheel Wheel { get; } = new(clock);

    public ActivationWait Begin(NamespaceLoad load, bool waits)
    {
        if (_free.TryDequeue(out var wait))
        {
            Interlocked.Decrement(ref _count);
        }
        else
        {
            wait = new ActivationWait(this);
        }

        wait.Begin(load, waits);
        return wait;
    }

    public void Return(ActivationWait wait)
    {
        if (Interlocked.Increment(ref _count) <= capacity)
        {
            _free.Enqueue(wait);
        }
        else
        {
            Interlocked.Decrement(ref _count);
        }
    }

    public void Dispose() => Wheel.Dispose();
}
