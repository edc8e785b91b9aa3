namespace Frusta.Sandboxes.Processes;

/// <summary>Sums the memory of each sandbox, where no cgroup bounds it, and ends sandboxes that use too much.</summary>
internal sealed class MemoryWatchdog : IAsyncDisposable
{
    private readonly HashSet<IWatched> _watched = [];
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private int _running;

    internal MemoryWatchdog(TimeSpan interval, TimeProvider time)
    {
        _timer = time.CreateTimer(static state => ((MemoryWatchdog)state!).Look(), this, interval, interval);
    }

    /// <summary>A sandbox whose memory is summed.</summary>
    internal interface IWatched
    {
        long LimitBytes { get; }

        long MeasureMemory(ProcessTable now);

        void EndForMemory();
    }

    internal void Add(IWatched sandbox)
    {
        lock (_lock)
        {
            _watched.Add(sandbox);
        }
    }

    internal void Remove(IWatched sandbox)
    {
        lock (_lock)
        {
            _watched.Remove(sandbox);
        }
    }

    public ValueTask DisposeAsync() => _timer.DisposeAsync();

    private void Look()
    {
        // While a round takes longer than the interval, no second one begins.
        if (Interlocked.Exchange(ref _running, 1) == 1)
        {
            return;
        }

        IWatched[] watched;
        lock (_lock)
        {
            watched = [.. _watched];
        }

        if (watched.Length > 0)
        {
            Look(watched, ProcessTable.Read());
        }

        Volatile.Write(ref _running, 0);
    }

    private static void Look(IWatched[] watched, ProcessTable now)
    {
        foreach (var sandbox in watched)
        {
            if (sandbox.MeasureMemory(now) > sandbox.LimitBytes)
            {
                sandbox.EndForMemory();
            }
        }
    }
}
