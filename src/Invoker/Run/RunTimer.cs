using System.Diagnostics;
using Frusta.Runtimes;

namespace Frusta.Invoker.Run;

/// <summary>
/// The one timer of all deadlines. It ticks every ten milliseconds, and only while an activation runs or waits. A run sets and
/// clears its deadline with one write each, instead of making a timer.
/// </summary>
internal sealed class RunTimer : IDisposable
{
    private const int IdleTicks = 100;
    private const long GrainUs = 10_000;
    private static readonly TimeSpan Grain = TimeSpan.FromMicroseconds(GrainUs);
    private readonly PoolClock _clock;
    private readonly Func<long, bool> _tick;
    private readonly ITimer _timer;
    private readonly Lock _lock = new();
    private readonly List<LiveSandbox> _live = [];
    private int _ticking;
    private int _inTick;
    private int _quietTicks;
    private long _dueUs;

    /// <param name="clock">The clock.</param>
    /// <param name="tick">Called at each tick with the microseconds that the tick comes late; gives false when nothing waits.</param>
    public RunTimer(PoolClock clock, Func<long, bool> tick)
    {
        _clock = clock;
        _tick = tick;
        _timer = clock.Time.CreateTimer(static timer => ((RunTimer)timer!).Tick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Sandboxes that are up.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _live.Count;
            }
        }
    }

    public void Add(LiveSandbox live)
    {
        lock (_lock)
        {
            Debug.Assert(!_live.Contains(live));
            _live.Add(live);
        }
    }

    public void Remove(LiveSandbox live)
    {
        lock (_lock)
        {
            _live.Remove(live);
        }
    }

    /// <summary>Sets the deadline of the init or run that begins in the sandbox; if it takes longer, the timer ends it.</summary>
    public void Limit(LiveSandbox live, int milliseconds)
    {
        live.SetDeadline(_clock.NowUs + (milliseconds * 1000L));
        EnsureTicking();
    }

    /// <summary>
    /// Starts the ticks if they stand still. To be called whenever an activation has begun to run or to wait, after its deadline or the count of the queue was
    /// written with a full fence: so a tick that is about to stop sees that write.
    /// </summary>
    public void EnsureTicking()
    {
        if (Volatile.Read(ref _ticking) == 0 && Interlocked.Exchange(ref _ticking, 1) == 0)
        {
            Volatile.Write(ref _dueUs, _clock.NowUs + GrainUs);
            _timer.Change(Grain, Grain);
        }
    }

    /// <summary>Breaks off all inits and runs.</summary>
    public void AbortAll()
    {
        lock (_lock)
        {
            foreach (var live in _live)
            {
                if (live.IsTimed)
                {
                    live.Runnable.Runtime.Abort(RuntimeAnswerKind.Closed);
                }
            }
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        if (Interlocked.Exchange(ref _inTick, 1) == 1)
        {
            return; // the tick before this one is still at work
        }

        var now = _clock.NowUs;
        var lateUs = Math.Max(0, now - Volatile.Read(ref _dueUs));
        Volatile.Write(ref _dueUs, now + GrainUs);
        var busy = ExpireDeadlines() | _tick(lateUs);
        Volatile.Write(ref _inTick, 0);
        _quietTicks = busy ? 0 : _quietTicks + 1;
        if (_quietTicks >= IdleTicks)
        {
            _quietTicks = 0;
            _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            Interlocked.Exchange(ref _ticking, 0);
            if (IsAnyTimed() || _tick(0))
            {
                EnsureTicking(); // an activation began between the last look and the stop
            }
        }
    }

    private bool ExpireDeadlines()
    {
        List<LiveSandbox>? expired = null;
        var busy = false;
        lock (_lock)
        {
            var now = _clock.NowUs;
            foreach (var live in _live)
            {
                busy |= live.IsTimed;
                if (live.TryExpire(now))
                {
                    (expired ??= []).Add(live);
                }
            }
        }

        // Outside of the lock: Abort runs the rest of the activation in this call.
        if (expired is not null)
        {
            foreach (var live in expired)
            {
                live.Runnable.Runtime.Abort(RuntimeAnswerKind.TimedOut);
            }
        }

        return busy;
    }

    private bool IsAnyTimed()
    {
        lock (_lock)
        {
            foreach (var live in _live)
            {
                if (live.IsTimed)
                {
                    return true;
                }
            }

            return false;
        }
    }
}
