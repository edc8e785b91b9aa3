using System.Collections.Concurrent;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker;

/// <summary>
/// The invoker of one machine: takes deliveries, and drives the pool and the runs. It decides nothing itself: what starts and
/// what waits is the pool's matter, how an activation ends that of <see cref="RunActivation"/>.
/// </summary>
public sealed partial class InvokerRole : IActivationIntake, IAsyncDisposable
{
    private const int DeepestNesting = 8;
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan DrainLook = TimeSpan.FromMilliseconds(5);

    [ThreadStatic]
    private static int _nesting;

    private readonly InvokerOptions _options;
    private readonly LimitsOptions _limits;
    private readonly IEntityStore _store;
    private readonly ISandboxFactory _factory;
    private readonly ILogger _logger;
    private readonly PoolClock _clock;
    private readonly Room _room;
    private readonly RunTimer _timer;
    private readonly RunActivation _run;
    private readonly MachineLoad _machine;
    private readonly ConcurrentDictionary<PoolKey, ActionEntry> _entries = new();
    private readonly CancellationTokenSource _stopping = new();
    private ITimer? _sweep;
    private int _failedStarts;
    private int _resolving;
    private int _sweeping;
    private volatile bool _closed = true;

    /// <param name="options">How this invoker uses its machine.</param>
    /// <param name="limits">The system's limits.</param>
    /// <param name="store">Where actions and their code are read.</param>
    /// <param name="factory">Makes sandboxes with a runtime in them.</param>
    /// <param name="time">The clock.</param>
    /// <param name="loggers">Makes the logger.</param>
    public InvokerRole(InvokerOptions options, LimitsOptions limits, IEntityStore store, ISandboxFactory factory, TimeProvider time, ILoggerFactory loggers)
    {
        _options = options;
        _limits = limits;
        _store = store;
        _factory = factory;
        _logger = loggers.CreateLogger<InvokerRole>();
        _clock = new PoolClock(time);
        _machine = new MachineLoad(time);
        _room = new Room(RulesOf(options, factory));
        _timer = new RunTimer(_clock, Tick);
        _run = new RunActivation(store, limits, _clock, _timer, _logger);
    }

    /// <summary><c>up</c>, <c>unhealthy</c> (no sandbox has come up lately) or <c>down</c>, as <c>/invokers</c> shows it.</summary>
    public string Health => _closed ? "down" : Volatile.Read(ref _failedStarts) >= _options.Pool.StartTries ? "unhealthy" : "up";

    /// <summary>What the pool holds now.</summary>
    internal PoolCounts Pool => _room.Count();

    /// <summary>Name that operators see, such as <c>invoker0/0</c>.</summary>
    public string Name => $"invoker{_options.Number}/{_options.Number}";

    /// <summary>Opens the intake. Stem cells come up behind.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _closed = false;
        InvokerMetrics.Watch(_room.Count);
        _sweep = _clock.Time.CreateTimer(static role => ((InvokerRole)role!).Sweep(), this, TimeSpan.Zero, SweepEvery);
        return Task.CompletedTask;
    }

    /// <summary>
    /// Closes the intake, lets what runs and waits end until <see cref="InvokerOptions.DrainMs"/> have passed or the token
    /// is cancelled, breaks off the rest (it gets its record), and ends all sandboxes.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_closed)
        {
            return;
        }

        _closed = true;
        await WaitAsync(TimeSpan.FromMilliseconds(_options.DrainMs), () => Pool is not { Running: 0, Queued: 0, Busy: 0 }, cancellationToken);
        _run.Interrupting = true;
        await _stopping.CancelAsync();
        if (_sweep is not null)
        {
            await _sweep.DisposeAsync();
        }

        Decide(static (room, now, actions) => room.Close(now, actions));
        _timer.AbortAll();
        await WaitAsync(TimeSpan.FromSeconds(5), () => _timer.Count > 0, CancellationToken.None);
        _timer.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true));
        _timer.Dispose();
        _stopping.Dispose();
    }

    public SendOutcome Receive(IDelivery delivery)
    {
        if (_closed)
        {
            return SendOutcome.Full;
        }

        var message = delivery.Message;
        if (message.ActionHint is { } action && (message.ActionRevision is null || string.Equals(action.Revision, message.ActionRevision, StringComparison.Ordinal)))
        {
            return Dispatch(delivery, action);
        }

        if (Interlocked.Increment(ref _resolving) > _options.Queue.PerNamespace)
        {
            Interlocked.Decrement(ref _resolving);
            return SendOutcome.Full;
        }

        _ = ResolveAsync(delivery);
        return SendOutcome.Sent;
    }

    private static RoomRules RulesOf(InvokerOptions options, ISandboxFactory factory)
    {
        var cells = new List<StemCellRule>();
        foreach (var (family, cell) in options.StemCells)
        {
            cells.Add(new StemCellRule(family, cell.Count, (long)cell.MemoryMb << 20, factory.IsForItsMemoryOnly(family)));
        }

        return new RoomRules
        {
            CapacityBytes = options.Pool.Memory > 0 ? (long)options.Pool.Memory << 20 : MachineLoad.MemoryBytes / 2,
            IdleMarginBytes = (long)options.Pool.IdleMarginMb << 20,
            StartsAtOnce = options.Pool.StartsAtOnce,
            StartTries = options.Pool.StartTries,
            IdleTimeoutUs = options.Pool.IdleTimeoutMs * 1000L,
            MaxWaitUs = options.Queue.MaxWaitMs * 1000L,
            MaxQueuedPerAction = options.Queue.PerAction,
            MaxQueuedPerNamespace = options.Queue.PerNamespace,
            MaxQueuedBytesPerNamespace = options.Queue.PerNamespaceBytes,
            MaxQueued = options.Queue.All,
            MaxQueuedBytes = options.Queue.AllBytes,
            StemCells = cells,
        };
    }

    private async Task ResolveAsync(IDelivery delivery)
    {
        try
        {
            var found = await ResolveAction.FindAsync(delivery.Message, _store, _stopping.Token);
            if (found.Action is null)
            {
                delivery.Finished(FallbackRecord.Write(delivery.Message, found.Status, found.Error, _clock.NowMs));
            }
            else if (Dispatch(delivery, found.Action) != SendOutcome.Sent)
            {
                // The bus has been told that it was taken, so it cannot be refused any more.
                Refuse(delivery, found.Action, ActivationStatus.WhiskError, ExecutionTexts.NoSandbox);
            }
        }
        catch (OperationCanceledException)
        {
            // The server stops: what was accepted and not started is run after the next start.
        }
        catch (Exception exception)
        {
            ResolveFailed(exception, delivery.Message.Id.ToString(), delivery.Message.Action.DocumentId);
            delivery.Finished(FallbackRecord.Write(delivery.Message, ActivationStatus.WhiskError, ExecutionTexts.ActionUnreadable, _clock.NowMs));
        }
        finally
        {
            Interlocked.Decrement(ref _resolving);
        }
    }

    /// <summary>Runs the activation in a warm sandbox of its action, or queues it.</summary>
    private SendOutcome Dispatch(IDelivery delivery, ExecutableAction action)
    {
        var message = delivery.Message;
        InvokerMetrics.ActivationReceived();
        if (CheckLimits.Find(action.Limits, message.User.Limits, _limits) is { } violation)
        {
            delivery.Finished(FallbackRecord.Write(message, ActivationStatus.ApplicationError, violation, _clock.NowMs));
            return SendOutcome.Sent;
        }

        var key = new PoolKey(message.User.NamespaceUuid, action.Name, action.Revision);
        while (true)
        {
            if (!_entries.TryGetValue(key, out var entry) && (entry = AddEntry(key, action, message.User.NamespaceName)) is null)
            {
                _ = RefuseKindAsync(delivery, action);
                return SendOutcome.Sent;
            }

            var outcome = Enter(new QueuedActivation(delivery, entry));
            if (outcome is { } sent)
            {
                return sent;
            }
        }
    }

    /// <summary>Null when the entry was forgotten meanwhile.</summary>
    private SendOutcome? Enter(QueuedActivation activation)
    {
        var slots = activation.Entry.Slots;
        switch (slots.Arrive(activation, _clock.NowUs, out var slot))
        {
            case Arrival.Run:
                Serve(slot!, activation);
                return SendOutcome.Sent;
            case Arrival.Queued:
                _timer.EnsureTicking();
                return SendOutcome.Sent;
            case Arrival.QueuedAsk:
                _timer.EnsureTicking();
                Ask(slots);
                return SendOutcome.Sent;
            case Arrival.NamespaceFull:
                return SendOutcome.NamespaceFull;
            case Arrival.Full:
                return SendOutcome.Full;
            default:
                return null;
        }
    }

    private ActionEntry? AddEntry(PoolKey key, ExecutableAction action, string namespaceName)
    {
        if (_factory.Find(action.Kind).Family is not { } family)
        {
            return null;
        }

        lock (_entries)
        {
            if (!_entries.TryGetValue(key, out var entry))
            {
                var slots = _room.Add(key, family, (long)action.Limits.MemoryMb << 20, action.Limits.Instances ?? int.MaxValue);
                entry = new ActionEntry(action, namespaceName, slots);
                _entries[key] = entry;
            }

            return entry;
        }
    }

    /// <summary>Begins to serve on this thread: the first bytes leave before this returns. Only a deep nesting of calls is broken up.</summary>
    private void Serve(Slot slot, QueuedActivation activation)
    {
        if (_nesting >= DeepestNesting)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static work => _ = work.Role.ServeAsync(work.Slot, work.Activation), (Role: this, Slot: slot, Activation: activation), preferLocal: true);
            return;
        }

        _nesting++;
        _ = ServeAsync(slot, activation);
        _nesting--;
    }

    /// <summary>
    /// Runs the activation and then all that wait for the same action, one after the other. The sandbox is given back, and
    /// the next run put on it, before the answer goes out: so a client that calls again at once finds it free.
    /// </summary>
    private async Task ServeAsync(Slot slot, QueuedActivation activation)
    {
        var live = (LiveSandbox)slot.Content!;
        var slots = activation.Entry.Slots;
        var running = _run.RunAsync(live, activation);
        while (true)
        {
            var end = await running;
            var ended = activation;
            var next = (QueuedActivation?)slots.Return(slot, end.KeepSandbox, _clock.NowUs, out var stop, out var ask);
            if (next is not null)
            {
                activation = next;
                running = _run.RunAsync(live, next);
            }

            Finish(ended, end);
            if (stop)
            {
                Discard(slot, ask);
            }

            if (next is null)
            {
                return;
            }
        }
    }

    private void Finish(QueuedActivation activation, RunEnd end)
    {
        if (end.Finished is { } finished)
        {
            Finish(activation.Delivery, finished);
        }
        else if (Dispatch(activation.Delivery, activation.Action) != SendOutcome.Sent)
        {
            Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, ExecutionTexts.NoSandbox);
        }
    }

    private void Finish(IDelivery delivery, FinishedActivation finished)
    {
        try
        {
            delivery.Finished(finished);
        }
        catch (Exception exception)
        {
            FinishFailed(exception, finished.Id.ToString());
        }
    }

    private void Refuse(IDelivery delivery, ExecutableAction action, ActivationStatus status, string error) =>
        Finish(delivery, FallbackRecord.Write(delivery.Message, action, status, error, _clock.NowMs));

    /// <summary>The kind cannot run on this host. For an image OpenWhisk's users know a text.</summary>
    private async Task RefuseKindAsync(IDelivery delivery, ExecutableAction action)
    {
        var text = _factory.Find(action.Kind).Reason ?? $"The kind '{action.Kind}' cannot run on this host.";
        if (string.Equals(action.Kind, ActionExec.BlackBox, StringComparison.Ordinal))
        {
            text = await ImageTextAsync(action) ?? text;
        }

        Refuse(delivery, action, ActivationStatus.DeveloperError, text);
    }

    private async ValueTask<string?> ImageTextAsync(ExecutableAction action)
    {
        try
        {
            return await _store.GetAsync(action.Name.DocumentId, _stopping.Token) is ActionDocument { Exec.Image: { } image }
                ? $"Failed to pull container image '{image}'."
                : null;
        }
        catch (Exception exception)
        {
            ResolveFailed(exception, "", action.Name.DocumentId);
            return null;
        }
    }

    private void Ask(ActionSlots slots)
    {
        var actions = new List<PoolAction>();
        _room.Ask(slots, _clock.NowUs, actions);
        Execute(actions);
    }

    private void Discard(Slot slot, bool ask)
    {
        var actions = new List<PoolAction>();
        _room.Discard(slot, ask, _clock.NowUs, actions);
        Execute(actions);
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
                case PoolActionKind.Run:
                    Serve(slot!, (QueuedActivation)item!);
                    break;
                case PoolActionKind.RefuseNoSandbox:
                    Refuse((QueuedActivation)item!, ExecutionTexts.NoSandbox);
                    break;
                default:
                    var waitedMs = (_clock.NowUs - item!.ReceivedUs) / 1000;
                    Refuse((QueuedActivation)item, $"Activation processing is not initiated for {waitedMs} ms");
                    break;
            }
        }
    }

    private void Refuse(QueuedActivation activation, string error) =>
        Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, error);

    private async Task StartSandboxAsync(Slot slot)
    {
        // Behind the path: whoever asked goes on.
        await Task.Yield();
        var began = _clock.NowUs;
        LiveSandbox live;
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(_options.StartTimeoutMs), _clock.Time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, _stopping.Token);
            var runnable = await _factory.StartAsync(slot.Family, (int)(slot.LimitBytes >> 20), ahead: slot.Owner is null, either.Token);
            live = new LiveSandbox(slot, runnable, stemCell: slot.Owner is null);
        }
        catch (Exception exception)
        {
            if (!_stopping.IsCancellationRequested)
            {
                InvokerMetrics.StartFailed();
                Interlocked.Increment(ref _failedStarts);
                StartFailed(exception, slot.Family);
            }

            Decide((room, now, actions) => room.StartFailed(slot, wasCell: false, now, actions));
            return;
        }

        Volatile.Write(ref _failedStarts, 0);
        slot.Content = live;
        _timer.Add(live);
        if (slot.Owner is { } owner && !ActionOf(owner).AllowNetwork)
        {
            live.Runnable.Sandbox.DenyNetwork();
        }

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
            StartFailed(exception, slot.Family);
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
        try
        {
            await live.Runnable.DisposeAsync();
        }
        catch (Exception exception)
        {
            StopFailed(exception, live.Runnable.Sandbox.Label);
        }

        _timer.Remove(live);
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

        Decide((room, now, actions) => room.Tick(now, lateUs, _machine.CoreIdles(), IsShortOfMemory(), actions));
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
            if (IsShortOfMemory())
            {
                room.Tick(now, lateUs: 0, coreIdles: false, memoryPressure: true, actions);
            }

            room.Sweep(now, actions, forgotten);
        });
        foreach (var key in forgotten)
        {
            _entries.TryRemove(key, out _);
        }

        Volatile.Write(ref _sweeping, 0);
    }

    private bool IsShortOfMemory() => _machine.MemoryPressurePercent() > _options.Pool.MemoryPressurePercent;

    private async Task WaitAsync(TimeSpan most, Func<bool> isBusy, CancellationToken cancellationToken)
    {
        var began = _clock.Time.GetTimestamp();
        while (isBusy() && !cancellationToken.IsCancellationRequested && _clock.Time.GetElapsedTime(began) < most)
        {
            await Task.Delay(DrainLook, _clock.Time, CancellationToken.None);
        }
    }

    [LoggerMessage(7010, LogLevel.Warning, "A sandbox for {Family} did not come up.")]
    private partial void StartFailed(Exception exception, string family);

    [LoggerMessage(7011, LogLevel.Debug, "Sandbox {Sandbox} is up after {Milliseconds} ms.")]
    private partial void Started(string sandbox, long milliseconds);

    [LoggerMessage(7012, LogLevel.Debug, "Sandbox {Sandbox} has ended with {ExitCode}.")]
    private partial void Exited(string sandbox, int exitCode);

    [LoggerMessage(7013, LogLevel.Error, "Sandbox {Sandbox} could not be ended.")]
    private partial void StopFailed(Exception exception, string sandbox);

    [LoggerMessage(7014, LogLevel.Error, "The record of activation {Id} could not be handed on.")]
    private partial void FinishFailed(Exception exception, string id);

    [LoggerMessage(7015, LogLevel.Error, "The action {Action} of activation {Id} could not be read.")]
    private partial void ResolveFailed(Exception exception, string id, string action);
}
