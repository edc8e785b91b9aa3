using Frusta.Contracts.Entities;
using Frusta.Contracts.Errors;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Frusta.Runtimes;
using Frusta.Sandboxes;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Serve;

/// <summary>Serves and refuses what the pool hands out.</summary>
internal interface IPoolClient
{
    /// <summary>The sandbox is this activation's until <see cref="ActionSlots.Return"/>.</summary>
    void Serve(Slot slot, QueuedActivation activation);

    /// <summary>The activation will not run, for a reason that is the platform's.</summary>
    void Refuse(QueuedActivation activation, string error);
}

/// <summary>
/// Carries out what the pool decides: starts, specialises, measures, pauses and ends sandboxes, tells the pool what came of it, and looks at it on a
/// timer while anything waits. The pool itself has neither clock nor threads.
/// </summary>
internal sealed partial class PoolDriver : IDisposable
{
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    // A look that measures is followed by a pause so many times as long as it took, however dear measuring is on this host.
    private const int MeasuringPause = 20;

    private readonly InvokerOptions _options;
    private readonly ISandboxFactory _factory;
    private readonly PoolClock _clock;
    private readonly IPoolClient _client;
    private readonly ILogger _logger;
    private readonly Room _room;
    private readonly MachineLoad _machine;
    private readonly SandboxPauses _pauses;
    private readonly ActionEntries _entries = new();
    private readonly CancellationTokenSource _stopping = new();
    private ITimer? _sweep;
    private ITimer? _look;
    private int _failedStarts;
    private int _sweeping;
    private int _looking;
    private long _measureAgainUs;

    public PoolDriver(InvokerOptions options, ISandboxFactory factory, PoolClock clock, IPoolClient client, ILogger logger)
    {
        _options = options;
        _factory = factory;
        _clock = clock;
        _client = client;
        _logger = logger;
        _room = new Room(RulesOf(options, factory));
        _machine = new MachineLoad(clock.Time);
        _pauses = new SandboxPauses(_room, clock, client, Execute, logger);
        Timer = new RunTimer(clock, Tick);
    }

    /// <summary>The timer of all deadlines, which the pool's ticks are on too.</summary>
    public RunTimer Timer { get; }

    /// <summary>False when the last starts have all failed.</summary>
    public bool StartsSucceed => Volatile.Read(ref _failedStarts) < _options.Pool.StartTries;

    /// <summary>What the pool holds now.</summary>
    public PoolCounts Count() => _room.Count();

    /// <summary>Begins to look at the pool now and then. Stem cells come up behind.</summary>
    public void Start()
    {
        _sweep = _clock.Time.CreateTimer(static driver => ((PoolDriver)driver!).Sweep(), this, TimeSpan.Zero, SweepEvery);
        _look = _clock.Time.CreateTimer(static driver => ((PoolDriver)driver!).Look(), this, LookEvery, LookEvery);
    }

    /// <summary>Nothing starts from here on, and what idles is ended.</summary>
    public async Task CloseAsync()
    {
        await _stopping.CancelAsync();
        if (_sweep is not null)
        {
            await _sweep.DisposeAsync();
        }

        if (_look is not null)
        {
            await _look.DisposeAsync();
        }

        Decide(static (room, now, actions) => room.Close(now, actions));
    }

    public void Dispose()
    {
        Timer.Dispose();
        _stopping.Dispose();
    }

    /// <summary>The action as the pool knows it; null when its kind cannot run on this host.</summary>
    public ActionEntry? FindOrAdd(PoolKey key, ExecutableAction action, string namespaceName, out bool isNew)
    {
        isNew = false;
        return _entries.Find(key) ?? Add(key, action, namespaceName, out isNew);
    }

    /// <summary>Whether there is something of an action with this document.</summary>
    public bool Knows(string documentId) => _entries.Knows(documentId);

    /// <summary>Only this revision of the action is called from now on, or none: the sandboxes of all others end.</summary>
    public void Retire(string documentId, string? revision)
    {
        foreach (var entry in _entries.Of(documentId))
        {
            var retired = !string.Equals(entry.Action.Revision, revision, StringComparison.Ordinal);
            if (retired != entry.Slots.IsRetired)
            {
                Decide((room, now, actions) => room.Retire(entry.Slots, retired, now, actions));
            }
        }
    }

    /// <summary>Runs the activation in a sandbox that stands still.</summary>
    public void Resume(Slot slot, QueuedActivation activation) => _pauses.Resume(slot, activation);

    /// <summary>The action needs something of the room.</summary>
    public void Ask(ActionSlots slots)
    {
        var actions = new List<PoolAction>();
        _room.Ask(slots, _clock.NowUs, actions);
        Execute(actions);
    }

    /// <summary>The sandbox is not to be used again.</summary>
    public void Discard(Slot slot, bool ask)
    {
        var actions = new List<PoolAction>();
        _room.Discard(slot, ask, _clock.NowUs, actions);
        Execute(actions);
    }

    /// <summary>A sandbox has become idle while an action waited for room.</summary>
    public void Freed()
    {
        var actions = new List<PoolAction>();
        _room.Freed(_clock.NowUs, actions);
        Execute(actions);
    }

    private static RoomRules RulesOf(InvokerOptions options, ISandboxFactory factory)
    {
        var cells = new List<StemCellRule>();
        foreach (var (family, cell) in options.StemCells)
        {
            cells.Add(new StemCellRule(family, cell.Count, (long)cell.MemoryMb << 20, factory.IsForItsMemoryOnly(family)));
        }

        var capacity = options.Pool.Memory > 0 ? (long)options.Pool.Memory << 20 : MachineLoad.MemoryBytes / 2;
        return new RoomRules
        {
            CapacityBytes = capacity,
            ReserveBytes = options.Pool.ReserveMb > 0 ? (long)options.Pool.ReserveMb << 20 : capacity / 16,
            MostSandboxes = options.Pool.Sandboxes > 0 ? Math.Min(options.Pool.Sandboxes, factory.MostSandboxes) : factory.MostSandboxes,
            StartsAtOnce = options.Pool.StartsAtOnce,
            StartTries = options.Pool.StartTries,
            IdleTimeoutUs = options.Pool.IdleTimeoutMs * 1000L,
            PauseGraceUs = options.Pool.PauseGraceMs * 1000L,
            MaxWaitUs = options.Queue.MaxWaitMs * 1000L,
            MaxQueuedPerAction = options.Queue.PerAction,
            MaxQueuedPerNamespace = options.Queue.PerNamespace,
            MaxQueuedBytesPerNamespace = options.Queue.PerNamespaceBytes,
            MaxQueued = options.Queue.All,
            MaxQueuedBytes = options.Queue.AllBytes,
            StemCells = cells,
        };
    }

    private ActionEntry? Add(PoolKey key, ExecutableAction action, string namespaceName, out bool isNew)
    {
        isNew = false;
        if (_factory.Find(action.Kind).Family is not { } family)
        {
            return null;
        }

        (var entry, isNew) = _entries.GetOrAdd(key, () => new ActionEntry(
            action, namespaceName, _room.Add(key, family, (long)action.Limits.MemoryMb << 20, action.Limits.Instances ?? int.MaxValue)));
        return entry;
    }

    private void Decide(Action<Room, long, List<PoolAction>> tell)
    {
        var actions = new List<PoolAction>();
        tell(_room, _clock.NowUs, actions);
        Execute(actions);
    }

    /// <summary>Carries out what the pool wants. What follows from that is appended to the same list.</summary>
    private void Execute(List<PoolAction> actions)
    {
        for (var i = 0; i < actions.Count; i++)
        {
            var (kind, slot, item) = actions[i];
            switch (kind)
            {
                case PoolActionKind.Start:
                    _ = StartSandboxAsync(slot!);
                    break;
                case PoolActionKind.Specialise:
                    Specialise(slot!, actions);
                    break;
                case PoolActionKind.Stop:
                    _ = StopSandboxAsync(slot!);
                    break;
                case PoolActionKind.Measure:
                    _room.Measured(slot!, ((LiveSandbox)slot!.Content!).Runnable.Sandbox.MeasureMemory(), _clock.NowUs, actions);
                    break;
                case PoolActionKind.Look or PoolActionKind.Pause:
                    _pauses.Add(actions[i]);
                    break;
                case PoolActionKind.Run:
                    _client.Serve(slot!, (QueuedActivation)item!);
                    break;
                case PoolActionKind.Resume:
                    _pauses.Resume(slot!, (QueuedActivation)item!);
                    break;
                case PoolActionKind.RefuseNoSandbox:
                    _client.Refuse((QueuedActivation)item!, ExecutionTexts.NoSandbox);
                    break;
                default:
                    var waitedMs = (_clock.NowUs - item!.ReceivedUs) / 1000;
                    _client.Refuse((QueuedActivation)item, $"Activation processing is not initiated for {waitedMs} ms");
                    break;
            }
        }
    }

    private async Task StartSandboxAsync(Slot slot)
    {
        // Behind the path: whoever asked goes on.
        await Task.Yield();
        var began = _clock.NowUs;
        RunnableSandbox? runnable = null;
        LiveSandbox live;
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(_options.StartTimeoutMs), _clock.Time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, _stopping.Token);
            runnable = await _factory.StartAsync(slot.Family, (int)(slot.LimitBytes >> 20), ahead: slot.Owner is null, either.Token);
            if (slot.Owner is { } owner && !ActionOf(owner).AllowNetwork)
            {
                runnable.Sandbox.DenyNetwork();
            }

            live = new LiveSandbox(slot, runnable, stemCell: slot.Owner is null);
        }
        catch (Exception exception)
        {
            if (runnable is not null)
            {
                await EndAsync(runnable);
            }

            if (!_stopping.IsCancellationRequested)
            {
                InvokerMetrics.StartFailed();
                Interlocked.Increment(ref _failedStarts);
                TellOfFailedStart(exception, slot.Family);
            }

            Decide((room, now, actions) => room.StartFailed(slot, wasCell: false, now, actions));
            return;
        }

        Volatile.Write(ref _failedStarts, 0);
        slot.Content = live;
        slot.Pause.IsPossible = live.Runnable.Sandbox.CanPause;
        Timer.Add(live);
        Started(live.Runnable.Sandbox.Label, (_clock.NowUs - began) / 1000);
        Decide((room, now, actions) => room.Started(slot, Math.Max(1, now - began), now, actions));
        _ = WatchExitAsync(live);
    }

    private void Specialise(Slot slot, List<PoolAction> actions)
    {
        var live = (LiveSandbox)slot.Content!;
        try
        {
            live.Runnable.Sandbox.LimitMemory((int)(slot.LimitBytes >> 20));
            if (!ActionOf(slot.Owner!).AllowNetwork)
            {
                live.Runnable.Sandbox.DenyNetwork();
            }

            _room.Started(slot, tookUs: 0, _clock.NowUs, actions);
        }
        catch (Exception exception)
        {
            TellOfFailedStart(exception, slot.Family);
            _room.StartFailed(slot, wasCell: true, _clock.NowUs, actions);
            _ = EndAsync(live);
        }
    }

    private ExecutableAction ActionOf(ActionSlots slots) => _entries[slots.Key].Action;

    private async Task StopSandboxAsync(Slot slot)
    {
        await Task.Yield();
        await EndAsync((LiveSandbox)slot.Content!);
        Decide((room, now, actions) => room.Stopped(slot, now, actions));
    }

    private async Task EndAsync(LiveSandbox live)
    {
        await EndAsync(live.Runnable);
        Timer.Remove(live);
    }

    private async Task EndAsync(RunnableSandbox runnable)
    {
        try
        {
            await runnable.DisposeAsync();
        }
        catch (Exception exception)
        {
            StopFailed(exception, runnable.Sandbox.Label);
        }
    }

    private async Task WatchExitAsync(LiveSandbox live)
    {
        var exit = await live.Runnable.Sandbox.Exited;
        Exited(live.Runnable.Sandbox.Label, exit.ExitCode);
        Decide((room, now, actions) => room.Died(live.Slot, now, actions));
    }

    private bool Tick(long lateUs)
    {
        if (_room.Ledger.Queued == 0 && !_room.RefillHeldBack)
        {
            return false;
        }

        Decide((room, now, actions) => room.Tick(now, lateUs, _machine.CoreIdles(), actions));
        return true;
    }

    private void Sweep()
    {
        if (Interlocked.Exchange(ref _sweeping, 1) == 1)
        {
            return;
        }

        var forgotten = new List<PoolKey>();
        Decide((room, now, actions) =>
        {
            // What is closed is forgotten before anything else is done: until then a call for it comes here in vain.
            room.Sweep(now, actions, forgotten);
            forgotten.ForEach(_entries.Remove);
        });
        Volatile.Write(ref _sweeping, 0);
    }

    private void Look()
    {
        if (Interlocked.Exchange(ref _looking, 1) == 1)
        {
            return;
        }

        var began = _clock.NowUs;
        var measure = began >= _measureAgainUs;
        var missing = _machine.MissingBytes(_options.Pool.AvailablePercent, _options.Pool.MemoryPressurePercent);
        Decide((room, now, actions) => room.Look(now, missing, measure, actions));
        if (measure)
        {
            var ended = _clock.NowUs;
            _measureAgainUs = ended + (MeasuringPause * (ended - began));
        }

        Volatile.Write(ref _looking, 0);
    }

    private void TellOfFailedStart(Exception exception, string family)
    {
        if (exception is SandboxStartException)
        {
            StartFailed(exception.Message);
        }
        else
        {
            StartBroke(exception, family);
        }
    }

    /// <summary>For a sandbox that ended too soon its words say all there is; where our code stood says nothing.</summary>
    [LoggerMessage(7010, LogLevel.Warning, "{Reason}")]
    private partial void StartFailed(string reason);

    [LoggerMessage(7019, LogLevel.Warning, "A sandbox for {Family} did not come up.")]
    private partial void StartBroke(Exception exception, string family);

    [LoggerMessage(7011, LogLevel.Debug, "Sandbox {Sandbox} is up after {Milliseconds} ms.")]
    private partial void Started(string sandbox, long milliseconds);

    [LoggerMessage(7012, LogLevel.Debug, "Sandbox {Sandbox} has ended with {ExitCode}.")]
    private partial void Exited(string sandbox, int exitCode);

    [LoggerMessage(7013, LogLevel.Error, "Sandbox {Sandbox} could not be ended.")]
    private partial void StopFailed(Exception exception, string sandbox);
}
