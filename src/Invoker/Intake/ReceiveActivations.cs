using System.Diagnostics;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Frusta.Invoker.Serve;
using Frusta.Runtimes;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Intake;

/// <summary>The way of an activation from the bus to a sandbox.</summary>
/// <remarks>
/// 1 resolve: the action came along, or is read   2 check the caller's limits   3 find the queue of the action   4 enter: run in a warm sandbox at once, or
/// wait until the pool has one. <see cref="ServeActivations"/> goes on from there.
/// </remarks>
internal sealed partial class ReceiveActivations(
    InvokerOptions options,
    LimitsOptions limits,
    IEntityStore store,
    ISandboxFactory factory,
    ServeActivations serve,
    RetireActions retire,
    PoolClock clock,
    ILogger logger,
    CancellationToken stopping) : IReceiveAgain
{
    /// <summary>How often an activation is resolved again because the code of its revision was gone when it had its sandbox; after that it is refused.</summary>
    private const int MostLooks = 10;

    private static readonly TimeSpan RoomLook = TimeSpan.FromMilliseconds(20);

    private readonly ILogger _logger = logger;
    private int _resolving;

    /// <summary>Takes the delivery, or says which bound is reached.</summary>
    public SendOutcome Receive(IDelivery delivery)
    {
        // 1 Resolve.
        var outcome = ActionOf(delivery) is { } action ? Queue(delivery, action)
            : Volatile.Read(ref _resolving) >= options.Queue.PerNamespace ? SendOutcome.Full
            : Resolve(delivery);
        if (outcome == SendOutcome.Sent)
        {
            InvokerMetrics.ActivationReceived();
        }

        return outcome;
    }

    /// <summary>Takes the same steps as <see cref="Receive"/> up to the queue, and keeps a place there.</summary>
    public SendOutcome Reserve(IDelivery delivery, out IReservedPlace? place)
    {
        place = null;
        while (true)
        {
            var activation = ActionOf(delivery) is { } action ? FindQueue(delivery, action, looks: 0) : null;
            switch (activation?.Entry.Slots.Reserve(activation) ?? Arrival.Queued)
            {
                case Arrival.NamespaceFull:
                    return SendOutcome.NamespaceFull;
                case Arrival.Full:
                    return SendOutcome.Full;
                case Arrival.Queued:
                    place = new ReservedPlace(this, delivery, activation);
                    return SendOutcome.Sent;
            }
        }
    }

    /// <summary>Takes an activation for which a place is kept.</summary>
    public void Take(QueuedActivation activation)
    {
        InvokerMetrics.ActivationReceived();
        var outcome = Enter(activation);
        Debug.Assert(outcome == SendOutcome.Sent, "An activation with a place is not refused.");
    }

    /// <summary>
    /// Takes an activation without a place in a queue: its action has to be read first, after which it waits for a place, or it is refused with a record.
    /// </summary>
    public void Take(IDelivery delivery)
    {
        InvokerMetrics.ActivationReceived();
        if (ActionOf(delivery) is { } action)
        {
            _ = RefuseAsync(delivery, action);
        }
        else
        {
            Resolve(delivery);
        }
    }

    public bool TryEnterAgain(QueuedActivation activation) => Queue(activation.Delivery, activation.Action, activation.Looks) == SendOutcome.Sent;

    /// <summary>Resolves the activation again, at most <see cref="MostLooks"/> times: the action could be updated each time before a sandbox is found.</summary>
    public void ResolveAgain(QueuedActivation activation)
    {
        if (activation.Looks >= MostLooks)
        {
            serve.Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, ExecutionTexts.ActionUnreadable);
        }
        else
        {
            _ = ResolveAsync(activation.Delivery, activation.Looks + 1, activation.Action.Revision);
        }
    }

    /// <summary>The action that came with the message; null when none came, or one of another revision than the message names.</summary>
    private static ExecutableAction? ActionOf(IDelivery delivery) =>
        delivery.Action is { } action && (delivery.Message.ActionRevision is not { } revision || string.Equals(action.Revision, revision, StringComparison.Ordinal)) ? action : null;

    private SendOutcome Resolve(IDelivery delivery)
    {
        _ = ResolveAsync(delivery);
        return SendOutcome.Sent;
    }

    private SendOutcome Queue(IDelivery delivery, ExecutableAction action, int looks = 0)
    {
        while (true)
        {
            if (FindQueue(delivery, action, looks) is not { } activation)
            {
                _ = RefuseAsync(delivery, action);
                return SendOutcome.Sent;
            }

            // 4 Enter. The entry may have been forgotten meanwhile.
            if (Enter(activation) is { } outcome)
            {
                return outcome;
            }
        }
    }

    /// <summary>The activation in front of its queue; null when it may not run here, see <see cref="RefuseAsync"/>.</summary>
    private QueuedActivation? FindQueue(IDelivery delivery, ExecutableAction action, int looks)
    {
        // 2 Check the limits.
        var user = delivery.Message.User;
        if (EffectiveLimits.Of(user.Limits, limits).Refusal(action.Limits) is not null)
        {
            return null;
        }

        // 3 Find the queue.
        var key = new PoolKey(user.NamespaceUuid, action.Name, action.Revision);
        if (serve.Pool.FindOrAdd(key, action, user.NamespaceName, out var isNew) is not { } entry)
        {
            return null;
        }

        if (isNew)
        {
            // The action may have been replaced before the pool knew of it, so that the news went unheard.
            retire.Look(action.Name.DocumentId);
        }

        return new QueuedActivation(delivery, entry, looks);
    }

    /// <summary>Hands the activation to the slots of its action. Null when the entry was forgotten meanwhile.</summary>
    private SendOutcome? Enter(QueuedActivation activation)
    {
        var slots = activation.Entry.Slots;
        switch (slots.Arrive(activation, clock.NowUs, out var slot))
        {
            case Arrival.Run:
                LogReceived(_logger, activation.Message.Id, "runs at once");
                serve.Serve(slot!, activation);
                return SendOutcome.Sent;
            case Arrival.Resume:
                LogReceived(_logger, activation.Message.Id, "runs when its sandbox is resumed");
                serve.Pool.Resume(slot!, activation);
                return SendOutcome.Sent;
            case Arrival.Queued:
                LogReceived(_logger, activation.Message.Id, "waits for a sandbox");
                serve.Pool.Timer.EnsureTicking();
                return SendOutcome.Sent;
            case Arrival.QueuedAsk:
                LogReceived(_logger, activation.Message.Id, "waits for another sandbox to be found");
                serve.Pool.Timer.EnsureTicking();
                serve.Pool.Ask(slots);
                return SendOutcome.Sent;
            case Arrival.NamespaceFull:
                return SendOutcome.NamespaceFull;
            case Arrival.Full:
                return SendOutcome.Full;
            default:
                return null;
        }
    }

    /// <param name="delivery">The activation.</param>
    /// <param name="looks">How often its action was looked up before.</param>
    /// <param name="gone">The revision whose code is not there; null when none is known.</param>
    private async Task ResolveAsync(IDelivery delivery, int looks = 0, string? gone = null)
    {
        Interlocked.Increment(ref _resolving);
        try
        {
            var found = await ReadAction.FindAsync(delivery.Message, store, stopping);
            if (found.Action is null)
            {
                delivery.Finished(FallbackRecord.Write(delivery.Message, found.Status, found.Error, clock.NowMs));
            }
            else if (string.Equals(found.Action.Revision, gone, StringComparison.Ordinal))
            {
                delivery.Finished(FallbackRecord.Write(delivery.Message, ActivationStatus.ApplicationError, ExecutionTexts.ActionRemoved, clock.NowMs));
            }
            else
            {
                // The bus has been told that the activation was taken, so it cannot be refused any more: it waits here for room in its queue.
                while (Queue(delivery, found.Action, looks) != SendOutcome.Sent)
                {
                    await Task.Delay(RoomLook, clock.Time, stopping);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The server stops: an activation that is on disk runs after the next start, any other gets its record now.
            if (!delivery.CanWait())
            {
                serve.HandOn(delivery, FallbackRecord.Write(delivery.Message, ActivationStatus.WhiskError, ExecutionTexts.Interrupted, clock.NowMs));
            }
        }
        catch (Exception exception)
        {
            LogResolveFailed(exception, delivery.Message.Id.ToString(), delivery.Message.Action.DocumentId);
            delivery.Finished(FallbackRecord.Write(delivery.Message, ActivationStatus.WhiskError, ExecutionTexts.ActionUnreadable, clock.NowMs));
        }
        finally
        {
            Interlocked.Decrement(ref _resolving);
        }
    }

    /// <summary>
    /// Ends an activation that may not run: its action's limits are beyond the caller's, or its kind cannot run on this host. An action of an image gets the
    /// text that OpenWhisk's users know.
    /// </summary>
    private async Task RefuseAsync(IDelivery delivery, ExecutableAction action)
    {
        if (EffectiveLimits.Of(delivery.Message.User.Limits, limits).Refusal(action.Limits) is { } violation)
        {
            delivery.Finished(FallbackRecord.Write(delivery.Message, ActivationStatus.ApplicationError, violation, clock.NowMs));
            return;
        }

        var text = factory.Find(action.Kind).Reason ?? $"The kind '{action.Kind}' cannot run on this host.";
        if (string.Equals(action.Kind, ActionExec.BlackBox, StringComparison.Ordinal))
        {
            text = await ImageTextAsync(action) ?? text;
        }

        serve.Refuse(delivery, action, ActivationStatus.DeveloperError, text);
    }

    private async ValueTask<string?> ImageTextAsync(ExecutableAction action)
    {
        try
        {
            return await store.GetAsync(action.Name.DocumentId, stopping) is ActionDocument { Exec.Image: { } image }
                ? $"Failed to pull container image '{image}'."
                : null;
        }
        catch (Exception exception)
        {
            LogResolveFailed(exception, "", action.Name.DocumentId);
            return null;
        }
    }

    [LoggerMessage(7021, LogLevel.Debug, "Activation {Id}: received, {Next}")]
    private static partial void LogReceived(ILogger logger, ActivationId id, string next);

    [LoggerMessage(7015, LogLevel.Error, "The action {Action} of activation {Id} could not be read.")]
    private partial void LogResolveFailed(Exception exception, string id, string action);
}
