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
/// Objects of this class are used again and again. Up to three hold one: the bus until the activation has ended, the waiting call, and the wheel
/// while it is linked there. The last of them to let go gives it back to the pool, so that none can touch it when its next user has it.
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

    /// <summary>It is not known whether the activation was sent: it no longer counts as in flight, and this object is not used again.</summary>
    internal void GiveUp()
    {
        Interlocked.Exchange(ref _state, Over);
        LeaveFlight();
    }

    /// <summary>Waits at most so many milliseconds. The caller calls <see cref="TakeFinished"/> afterwards, once.</summary>
    /// <returns>True when the activation has ended, false when the time is over.</returns>
    internal ValueTask<bool> WaitAsync(int milliseconds)
    {
        _pool.Wheel.Add(this, milliseconds);
        return new ValueTask<bool>(this, _source.Version);
    }

    /// <summary>
    /// The ended activation, whose record the caller disposes; null when the time was over first, or the record was refused. The waiting call lets go of this
    /// object.
    /// </summary>
    /// <param name="ended">The result of <see cref="WaitAsync"/>.</param>
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

    /// <summary>The activation has ended without a record: the waiting call ends, and gets none.</summary>
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

    /// <summary>The time is over. The waiting call does not go on on this thread of the wheel, which has other waits to end.</summary>
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
