using System.Diagnostics;
using Frusta.Invoker.Pool;
using Frusta.Runtimes;

namespace Frusta.Invoker.Run;

/// <summary>A sandbox that is up, with its place in the pool and the deadline of the init or run in it.</summary>
internal sealed class LiveSandbox(Slot slot, RunnableSandbox runnable, bool stemCell)
{
    private readonly Lock _pauseLock = new();
    private long _deadlineUs;
    private volatile bool _lost;

    public Slot Slot { get; } = slot;

    public RunnableSandbox Runnable { get; } = runnable;

    /// <summary>True when it was started ahead.</summary>
    public bool StemCell { get; } = stemCell;

    /// <summary>True once nothing can run in it any more.</summary>
    public bool IsDead => _lost || Runnable.IsDead || Runnable.Sandbox.Exited.IsCompleted;

    /// <summary>Pauses it, unless it was given an activation since the pool asked for the pause. <see cref="Resume"/> waits until this is done.</summary>
    public void Pause()
    {
        lock (_pauseLock)
        {
            if (Slot.Pause.State != PauseState.Awake)
            {
                Runnable.Sandbox.Pause();
            }
        }
    }

    /// <summary>Resumes it. Call this after it was given an activation and before the activation is sent to it.</summary>
    public void Resume()
    {
        lock (_pauseLock)
        {
            Runnable.Sandbox.Resume();
        }
    }

    /// <summary>Marks it as dead, since it could not be resumed.</summary>
    public void Lose() => _lost = true;

    public void SetDeadline(long us)
    {
        var before = Interlocked.Exchange(ref _deadlineUs, us);
        Debug.Assert(us > 0 && before == 0, "A sandbox has one init or run at a time.");
    }

    /// <summary>True when a deadline is set.</summary>
    public bool IsTimed => Volatile.Read(ref _deadlineUs) != 0;

    /// <summary>Clears the deadline if it has passed; true when it did. The caller then ends the run as timed out.</summary>
    public bool TryExpire(long nowUs)
    {
        var seen = Volatile.Read(ref _deadlineUs);
        return seen != 0 && nowUs >= seen && Interlocked.CompareExchange(ref _deadlineUs, 0, seen) == seen;
    }

    /// <summary>Clears the deadline; false when <see cref="TryExpire"/> has done so before.</summary>
    public bool ClearDeadline() => Interlocked.Exchange(ref _deadlineUs, 0) != 0;
}
