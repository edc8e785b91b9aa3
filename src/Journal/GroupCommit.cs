using System.Diagnostics;
using System.Threading.Tasks.Sources;
using Microsoft.Extensions.Logging;

namespace Frusta.Journal;

/// <summary>Syncs a log from one thread of its own: all callers that wait when a sync begins share it.</summary>
internal sealed partial class GroupCommit : IDisposable
{
    private const int PooledWaiters = 4096;

    private readonly object _gate = new();
    private readonly Action _sync;
    private readonly ILogger _logger;
    private readonly TimeSpan _flushInterval;
    private readonly ITimer _timer;
    private readonly Thread _thread;
    private readonly Stack<Waiter> _pool = new();
    private List<Waiter> _waiting = [];
    private List<Waiter> _syncing = [];
    private int _armed;
    private bool _wanted;
    private bool _closing;
    private LogRefusedException? _failure;

    /// <param name="sync">Brings everything published so far to the disk; an <see cref="IOException"/> fails the log for good.</param>
    /// <param name="flushInterval">Greatest time from an append to the beginning of its sync, where no caller waits for one.</param>
    /// <param name="clock">Measures that time.</param>
    /// <param name="logger">Gets the failure of a sync.</param>
    internal GroupCommit(Action sync, TimeSpan flushInterval, TimeProvider clock, ILogger logger)
    {
        _sync = sync;
        _logger = logger;
        _flushInterval = flushInterval;
        _timer = clock.CreateTimer(static state => ((GroupCommit)state!).FlushDue(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _thread = new Thread(Run) { IsBackground = true, Name = "journal sync" };
        _thread.Start();
    }

    /// <summary>Why nothing is synced any more; null while all is well.</summary>
    internal LogRefusedException? Failure => Volatile.Read(ref _failure);

    /// <summary>Number of syncs so far.</summary>
    internal long Syncs { get; private set; }

    /// <summary>To be called after each append: a sync will begin within the flush interval.</summary>
    internal void Appended()
    {
        if (Volatile.Read(ref _armed) == 0 && Interlocked.Exchange(ref _armed, 1) == 0)
        {
            _timer.Change(_flushInterval, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Completes after a sync that begins after this call.</summary>
    /// <exception cref="LogRefusedException">A sync failed, or the log is closed.</exception>
    internal ValueTask NextSyncAsync()
    {
        lock (_gate)
        {
            if (_failure is not null || _closing)
            {
                return ValueTask.FromException(_failure ?? new LogRefusedException(LogState.Closed, "The journal is closed."));
            }

            if (!_pool.TryPop(out var waiter))
            {
                waiter = new Waiter(this);
            }

            _waiting.Add(waiter);
            _wanted = true;
            Monitor.Pulse(_gate);
            return waiter.Task;
        }
    }

    /// <summary>Syncs a last time and ends the thread.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closing = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
        _timer.Dispose();
    }

    private void FlushDue()
    {
        Volatile.Write(ref _armed, 0);
        lock (_gate)
        {
            _wanted = true;
            Monitor.Pulse(_gate);
        }
    }

    private void Run()
    {
        var last = false;
        while (!last)
        {
            lock (_gate)
            {
                while (!_wanted && !_closing)
                {
                    Monitor.Wait(_gate);
                }

                _wanted = false;
                last = _closing;
                (_waiting, _syncing) = (_syncing, _waiting);
                Debug.Assert(_waiting.Count == 0, "Every wait for the sync before has been completed.");
            }

            if (_failure is null)
            {
                SyncOnce();
            }

            foreach (var waiter in _syncing)
            {
                waiter.Complete(_failure);
            }

            _syncing.Clear();
        }
    }

    private void SyncOnce()
    {
        try
        {
            _sync();
            Syncs++;
        }
        catch (IOException exception)
        {
            // After a failed sync the kernel may have dropped the pages: a second try that succeeds would prove nothing.
            LogSyncFailed(_logger, exception);
            lock (_gate)
            {
                _failure = new LogRefusedException(LogState.Failed, "The journal could not be brought to the disk.", exception);
            }
        }
    }

    /// <summary>One wait, used again afterwards. Continuations run on the thread pool, so that the next sync begins at once.</summary>
    private sealed class Waiter(GroupCommit owner) : IValueTaskSource
    {
        private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };

        internal ValueTask Task => new(this, _core.Version);

        internal void Complete(Exception? failure)
        {
            if (failure is null)
            {
                _core.SetResult(true);
            }
            else
            {
                _core.SetException(failure);
            }
        }

        public void GetResult(short token)
        {
            try
            {
                _core.GetResult(token);
            }
            finally
            {
                _core.Reset();
                lock (owner._gate)
                {
                    if (owner._pool.Count < PooledWaiters)
                    {
                        owner._pool.Push(this);
                    }
                }
            }
        }

        public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _core.OnCompleted(continuation, state, token, flags);
    }

    [LoggerMessage(2004, LogLevel.Critical, "A sync of the journal failed, and appends to it are refused until a restart. Check the disk before that.")]
    private static partial void LogSyncFailed(ILogger logger, Exception exception);
}
