using System.Diagnostics;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Keeps a few vacant sandboxes, so that a start has only its program to wait for.</summary>
/// <remarks>
/// They are built when no sandbox was started for a moment: a sandbox that has just started gets its first call then, and building would take the
/// cores that it needs. Mounts and environment are fixed when a sandbox is built. Each set of them is a look, and each look has a shelf.
/// </remarks>
internal sealed class VacantSandboxes : IAsyncDisposable
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(100);

    private readonly SandboxBuilder _builder;
    private readonly StartGate _gate;
    private readonly int _kept;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, Shelf> _shelves = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private Task _filling = Task.CompletedTask;
    private bool _isFilling;
    private long _lastStart;

    /// <param name="kept">Number of vacant sandboxes of each look.</param>
    /// <param name="builder">Builds and ends them.</param>
    /// <param name="gate">Knows whether sandboxes are being started.</param>
    /// <param name="time">The clock.</param>
    internal VacantSandboxes(int kept, SandboxBuilder builder, StartGate gate, TimeProvider time)
    {
        (_kept, _builder, _gate, _time) = (kept, builder, gate, time);
    }

    /// <summary>Number of vacant sandboxes now.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _shelves.Values.Sum(static shelf => shelf.Ready.Count(static vacant => vacant.IsUp));
            }
        }
    }

    /// <summary>Number of vacant sandboxes that are kept of all looks together.</summary>
    internal int Most
    {
        get
        {
            lock (_lock)
            {
                return _kept * _shelves.Count;
            }
        }
    }

    /// <summary>Keeps vacant sandboxes with these mounts and this environment from now on.</summary>
    internal void Expect(SandboxSpec spec)
    {
        lock (_lock)
        {
            _shelves.TryAdd(LookOf(spec), new Shelf(spec));
        }

        Fill();
    }

    /// <summary>Takes a vacant sandbox with the mounts and environment that this start needs; null when there is none.</summary>
    internal async ValueTask<LaunchedSandbox?> TakeAsync(SandboxSpec spec)
    {
        while (TryTake(LookOf(spec)) is { } vacant)
        {
            if (vacant.IsUp)
            {
                return vacant;
            }

            await _builder.EndAsync(vacant);
        }

        return null;
    }

    /// <summary>To be called when a start has ended: fills the shelves in the background once no sandbox was started for a moment.</summary>
    internal void Fill()
    {
        lock (_lock)
        {
            _lastStart = _time.GetTimestamp();
            if (!_isFilling && !_stopping.IsCancellationRequested && FindGap() is not null)
            {
                _isFilling = true;
                _filling = Task.Run(FillAsync, CancellationToken.None);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        Task filling;
        lock (_lock)
        {
            filling = _filling;
        }

        await filling;
        foreach (var look in _shelves.Keys)
        {
            while (TryTake(look) is { } vacant)
            {
                await _builder.EndAsync(vacant);
            }
        }

        _stopping.Dispose();
    }

    private LaunchedSandbox? TryTake(string look)
    {
        lock (_lock)
        {
            if (!_shelves.TryGetValue(look, out var shelf) || !shelf.Ready.TryDequeue(out var vacant))
            {
                return null;
            }

            SandboxesMetrics.VacantTaken();
            return vacant;
        }
    }

    private async Task FillAsync()
    {
        try
        {
            do
            {
                await AwaitQuietAsync();
            }
            while (await TryFillGapAsync());
        }
        catch (Exception failure) when (failure is SandboxStartException or IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            // The next start builds its own sandbox, and fails with the reason if there is one; afterwards the filling is tried again.
            lock (_lock)
            {
                _isFilling = false;
            }
        }
    }

    private async Task AwaitQuietAsync()
    {
        while ((_gate.IsBusy ? Quiet : Quiet - _time.GetElapsedTime(Interlocked.Read(ref _lastStart))) is var left && left > TimeSpan.Zero)
        {
            await Task.Delay(left, _time, _stopping.Token);
        }
    }

    /// <summary>Builds a vacant sandbox for a shelf that lacks one; false when none does, which ends the filling.</summary>
    private async Task<bool> TryFillGapAsync()
    {
        Shelf? shelf;
        lock (_lock)
        {
            shelf = FindGap();
            _isFilling = shelf is not null;
        }

        if (shelf is null)
        {
            return false;
        }

        var vacant = await _builder.BuildAsync(shelf.Spec, vacant: true, _stopping.Token);
        SandboxesMetrics.VacantReady();
        lock (_lock)
        {
            shelf.Ready.Enqueue(vacant);
            Debug.Assert(shelf.Ready.Count <= _kept);
        }

        return true;
    }

    private Shelf? FindGap()
    {
        foreach (var shelf in _shelves.Values)
        {
            if (shelf.Ready.Count < _kept)
            {
                return shelf;
            }
        }

        return null;
    }

    private static string LookOf(SandboxSpec spec) => string.Join(
        '\0', spec.Mounts.SelectMany(static mount => (string[])[mount.HostPath, mount.InsidePath]).Concat(spec.Environment.SelectMany(static variable => (string[])[variable.Key, variable.Value])));

    private sealed record Shelf(SandboxSpec Spec)
    {
        internal Queue<LaunchedSandbox> Ready { get; } = new();
    }
}
