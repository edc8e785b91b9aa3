using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Frusta.Invoker.Serve;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Intake;

/// <summary>
/// The invoker of one machine: takes deliveries, puts each into the queue of its action, and serves it once the pool has a sandbox for it. It decides
/// nothing itself: what starts and what waits is the pool's matter, how an activation ends that of <see cref="RunActivation"/>.
/// </summary>
public sealed partial class InvokerRole : IActivationIntake, ICacheInvalidationIntake, IPoolClient, IAsyncDisposable
{
    private const int DeepestNesting = 8;

    /// <summary>An activation is given a sandbox so often whose code is gone by then, before it is given up.</summary>
    private const int MostLooks = 10;

    private static readonly TimeSpan DrainLook = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan RoomLook = TimeSpan.FromMilliseconds(20);

    [ThreadStatic]
    private static int _nesting;

    private readonly InvokerOptions _options;
    private readonly LimitsOptions _limits;
    private readonly IEntityStore _store;
    private readonly ISandboxFactory _factory;
    private readonly ILogger _logger;
    private readonly PoolClock _clock;
    private readonly PoolDriver _pool;
    private readonly RunActivation _run;
    private readonly RetireActions _retire;
    private readonly CancellationTokenSource _stopping = new();
    private int _resolving;
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
        _pool = new PoolDriver(options, factory, _clock, this, _logger);
        _run = new RunActivation(store, limits, _clock, _pool.Timer, _logger);
        _retire = new RetireActions(store, _pool, _logger, _stopping.Token);
    }

    /// <summary><c>up</c>, <c>unhealthy</c> (no sandbox has come up lately) or <c>down</c>, as <c>/invokers</c> shows it.</summary>
    public string Health => _closed ? "down" : _pool.StartsSucceed ? "up" : "unhealthy";

    /// <summary>What the pool holds now.</summary>
    internal PoolCounts Pool => _pool.Count();

    /// <summary>Name that operators see, such as <c>invoker0/0</c>.</summary>
    public string Name => $"invoker{_options.Number}/{_options.Number}";

    /// <summary>Opens the intake. Stem cells come up behind.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _closed = false;
        InvokerMetrics.Watch(_pool.Count);
        _pool.Start();
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
        await _pool.CloseAsync();
        _pool.Timer.AbortAll();
        await WaitAsync(TimeSpan.FromSeconds(5), () => _pool.Timer.Count > 0, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true));
        _pool.Dispose();
        _stopping.Dispose();
    }

    public SendOutcome Receive(IDelivery delivery)
    {
        if (_closed)
        {
            return SendOutcome.Full;
        }

        var outcome = Take(delivery);
        if (outcome == SendOutcome.Sent)
        {
            InvokerMetrics.ActivationReceived();
        }

        return outcome;
    }

    /// <summary>A document was written or deleted: where it is that of an action with sandboxes, those of other revisions end.</summary>
    public void Invalidated(string documentId)
    {
        if (_pool.Knows(documentId))
        {
            _retire.Look(documentId);
        }
    }

    private SendOutcome Take(IDelivery delivery)
    {
        var message = delivery.Message;
        if (message.ActionHint is { } action && (message.ActionRevision is null || string.Equals(action.Revision, message.ActionRevision, StringComparison.Ordinal)))
        {
            return Dispatch(delivery, action);
        }

        if (Volatile.Read(ref _resolving) >= _options.Queue.PerNamespace)
        {
            return SendOutcome.Full;
        }

        _ = ResolveAsync(delivery);
        return SendOutcome.Sent;
    }

    /// <param name="delivery">The activation.</param>
    /// <param name="looks">How often this was done for it before.</param>
    /// <param name="gone">The revision whose code is not there; null when none is known.</param>
    private async Task ResolveAsync(IDelivery delivery, int looks = 0, string? gone = null)
    {
        Interlocked.Increment(ref _resolving);
        try
        {
            var found = await ResolveAction.FindAsync(delivery.Message, _store, _stopping.Token);
            if (found.Action is null)
            {
                delivery.Finished(FallbackRecord.Write(delivery.Message, found.Status, found.Error, _clock.NowMs));
            }
            else if (string.Equals(found.Action.Revision, gone, StringComparison.Ordinal))
            {
                delivery.Finished(FallbackRecord.Write(delivery.Message, ActivationStatus.ApplicationError, ExecutionTexts.ActionRemoved, _clock.NowMs));
            }
            else
            {
                // The bus has been told that it was taken, so that it cannot be refused any more: it waits here for room in its queue.
                while (Dispatch(delivery, found.Action, looks) != SendOutcome.Sent)
                {
                    await Task.Delay(RoomLook, _clock.Time, _stopping.Token);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The server stops: what is on disk is run after the next start.
            if (!delivery.CanWait())
            {
                Finish(delivery, FallbackRecord.Write(delivery.Message, ActivationStatus.WhiskError, ExecutionTexts.Interrupted, _clock.NowMs));
            }
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
    private SendOutcome Dispatch(IDelivery delivery, ExecutableAction action, int looks = 0)
    {
        var message = delivery.Message;
        if (EffectiveLimits.Of(message.User.Limits, _limits).Refusal(action.Limits) is { } violation)
        {
            delivery.Finished(FallbackRecord.Write(message, ActivationStatus.ApplicationError, violation, _clock.NowMs));
            return SendOutcome.Sent;
        }

        var key = new PoolKey(message.User.NamespaceUuid, action.Name, action.Revision);
        while (true)
        {
            if (_pool.FindOrAdd(key, action, message.User.NamespaceName, out var isNew) is not { } entry)
            {
                _ = RefuseKindAsync(delivery, action);
                return SendOutcome.Sent;
            }

            if (isNew)
            {
                // The news that it was replaced may have come before.
                _retire.Look(action.Name.DocumentId);
            }

            var outcome = Enter(new QueuedActivation(delivery, entry, looks));
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
            case Arrival.Resume:
                _pool.Resume(slot!, activation);
                return SendOutcome.Sent;
            case Arrival.Queued:
                _pool.Timer.EnsureTicking();
                return SendOutcome.Sent;
            case Arrival.QueuedAsk:
                _pool.Timer.EnsureTicking();
                _pool.Ask(slots);
                return SendOutcome.Sent;
            case Arrival.NamespaceFull:
                return SendOutcome.NamespaceFull;
            case Arrival.Full:
                return SendOutcome.Full;
            default:
                return null;
        }
    }

    void IPoolClient.Serve(Slot slot, QueuedActivation activation) => Serve(slot, activation);

    void IPoolClient.Refuse(QueuedActivation activation, string error)
    {
        if (!_run.Interrupting)
        {
            Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, error);
        }
        else if (!activation.Delivery.CanWait())
        {
            Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, ExecutionTexts.Interrupted);
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
                _pool.Discard(slot, ask);
            }
            else if (ask)
            {
                _pool.Freed();
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
        else if (end.NotBegun == NotBegun.CodeGone)
        {
            LookAgain(activation);
        }
        else if (end.NotBegun == NotBegun.SandboxDead && Dispatch(activation.Delivery, activation.Action, activation.Looks) != SendOutcome.Sent)
        {
            Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, ExecutionTexts.NoSandbox);
        }
    }

    /// <summary>
    /// The action was updated so long ago that its code is not kept any more: its activation runs it as it is now. Not for ever, where it is
    /// updated each time before a sandbox is found.
    /// </summary>
    private void LookAgain(QueuedActivation activation)
    {
        if (activation.Looks >= MostLooks)
        {
            Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, ExecutionTexts.ActionUnreadable);
        }
        else
        {
            _ = ResolveAsync(activation.Delivery, activation.Looks + 1, activation.Action.Revision);
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

    private async Task WaitAsync(TimeSpan most, Func<bool> isBusy, CancellationToken cancellationToken)
    {
        var began = _clock.Time.GetTimestamp();
        while (isBusy() && !cancellationToken.IsCancellationRequested && _clock.Time.GetElapsedTime(began) < most)
        {
            await Task.Delay(DrainLook, _clock.Time, CancellationToken.None);
        }
    }

    [LoggerMessage(7014, LogLevel.Error, "The record of activation {Id} could not be handed on.")]
    private partial void FinishFailed(Exception exception, string id);

    [LoggerMessage(7015, LogLevel.Error, "The action {Action} of activation {Id} could not be read.")]
    private partial void ResolveFailed(Exception exception, string id, string action);
}
