using System.Text;
using System.Text.Json;
using Frusta.Bus;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Contracts.Parameters;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Refusals;
using Frusta.Store.Entities;

namespace Frusta.Controller.Invocation;

/// <summary>One fire of a trigger.</summary>
/// <param name="Caller">Authenticated, admitted and entitled.</param>
/// <param name="Trigger">The name that was fired.</param>
/// <param name="Body">The event as it came; nothing at all is <c>{}</c>.</param>
/// <param name="Headers">The request's headers as one JSON object, names in lower case.</param>
/// <param name="TransactionId">Id of the request.</param>
/// <param name="ForceStore">True when the records are stored whatever the level says.</param>
public readonly record struct FireRequest(
    Identity Caller,
    FullyQualifiedName Trigger,
    ReadOnlyMemory<byte> Body,
    ReadOnlyMemory<byte> Headers,
    string TransactionId,
    bool ForceStore);

/// <summary>How a fire came out. <see cref="InvokeOutcome.Finished"/> means that there was no active rule: 204, nothing is stored.</summary>
public readonly record struct FireAnswer(InvokeOutcome Outcome, ActivationId Id);

/// <summary>Fires a trigger: one record for it and one activation for each active rule, all of them durable as one entry.</summary>
/// <remarks>
/// 1 find the trigger and its active rules   2 read the event   3 compose each rule's activation, as a call of its
/// action with trigger parameters, headers and event merged     4 write down what became of each rule
/// 5 send all at once. A rule that is refused costs the others nothing: its line in the trigger's logs says why.
/// </remarks>
public sealed class FireTrigger(
    ReadEntity read,
    InvokeAction invoke,
    Admit admit,
    CheckActivate check,
    IBus bus,
    JsonWorkers workers,
    LimitsOptions limits,
    TimeProvider clock)
{
    private static readonly JsonWriterOptions Options = new() { Encoder = LeastEscaping.Instance };

    /// <summary>Fires. Where event and trigger are too large for an event loop, all is made of them on a thread for such things.</summary>
    public async ValueTask<FireAnswer> RunAsync(FireRequest request, CancellationToken cancellationToken)
    {
        // 1 Find the trigger.
        var (problem, trigger) = await FindAsync(request.Trigger, cancellationToken);

        // 2 Read the event, 3 compose and 4 write down.
        var fire = !workers.IsLarge(request.Body.Length + (trigger?.SizeBytes ?? 0))
            ? await MakeAsync(request, problem, trigger, cancellationToken)
            : await workers.RunLargeAsync(request.Caller.NamespaceUuid, () => MakeAsync(request, problem, trigger, cancellationToken), new Fire(InvokeOutcome.Full));
        if (fire.Record is not { } record)
        {
            return new FireAnswer(fire.Outcome, default);
        }

        // 5 Send.
        var isSent = false;
        try
        {
            var outcome = await bus.FireAsync(record, fire.Messages!, CancellationToken.None);
            isSent = outcome == SendOutcome.Sent;
            if (isSent)
            {
                return new FireAnswer(InvokeOutcome.Accepted, record.Id);
            }

            record.Record.Dispose();
            return new FireAnswer(InvokeAction.Refusal(outcome), default);
        }
        finally
        {
            if (!isSent)
            {
                fire.Messages!.ForEach(InvokeAction.Withdraw);
            }
        }
    }

    /// <summary>What is sent of a fire; or, without a record, its outcome. What is wrong with the event is said first.</summary>
    private async ValueTask<Fire> MakeAsync(FireRequest request, InvokeOutcome problem, TriggerDocument? trigger, CancellationToken cancellationToken)
    {
        using var payload = PooledBuffer.Rent(request.Body.Length + 2);
        var readable = MergeArguments.Merge(request.Body.Span, ParameterLayer.Empty, refuseFinal: false, payload);
        if (readable != MergeOutcome.Merged)
        {
            return new Fire(readable == MergeOutcome.NotAnObject ? InvokeOutcome.NotAnObject : InvokeOutcome.Malformed);
        }

        if (trigger is null)
        {
            return new Fire(problem);
        }

        if (trigger.Rules is null || !trigger.Rules.Values.Any(static rule => rule.Active))
        {
            return new Fire(InvokeOutcome.Finished);
        }

        var startMs = clock.GetUtcNow().ToUnixTimeMilliseconds();
        using var arguments = Arguments(request, trigger, payload);
        using var logs = PooledBuffer.Rent();
        var messages = new List<ActivationMessage>(trigger.Rules.Count);
        var isMade = false;
        try
        {
            await ComposeAsync(request, trigger, arguments, messages, logs, cancellationToken);
            var record = ActivationRecordWriter.Finish(
                new ActivationRecord
                {
                    Id = ActivationId.New(clock),
                    Namespace = request.Caller.NamespaceName,
                    Name = trigger.Name.Name,
                    Version = trigger.Version,
                    Subject = request.Caller.Subject,
                    StartMs = startMs,
                    EndMs = 0,
                    Status = ActivationStatus.Success,
                    Result = payload.Span,
                    Logs = logs.Span,
                },
                trigger.Name.Name,
                request.Caller.Limits.StoreActivations ?? true);

            isMade = true;
            return new Fire(InvokeOutcome.Accepted, record, messages);
        }
        finally
        {
            if (!isMade)
            {
                messages.ForEach(InvokeAction.Withdraw);
            }
        }
    }

    private async ValueTask<(InvokeOutcome Problem, TriggerDocument? Trigger)> FindAsync(
        FullyQualifiedName name,
        CancellationToken cancellationToken)
    {
        try
        {
            return await read(name.DocumentId, cancellationToken) switch
            {
                TriggerDocument trigger => (InvokeOutcome.Finished, await RuleLinks.CountingAsync(trigger, read, cancellationToken)),
                null => (InvokeOutcome.NotFound, null),
                _ => (InvokeOutcome.OtherCollection, null),
            };
        }
        catch (CorruptEntityException)
        {
            return (InvokeOutcome.Corrupt, null);
        }
    }

    /// <summary>Trigger parameters, over them <c>__ow_headers</c>, over these the event.</summary>
    private static PooledBuffer Arguments(FireRequest request, TriggerDocument trigger, PooledBuffer payload)
    {
        var layer = ParameterLayer.Merge(trigger.Parameters, [new KeyValue("__ow_headers", request.Headers)]);
        var arguments = PooledBuffer.Rent(layer.SizeBytes + payload.Length + 2);
        MergeArguments.Merge(payload.Span, layer, refuseFinal: false, arguments);
        return arguments;
    }

    private async ValueTask ComposeAsync(
        FireRequest request,
        TriggerDocument trigger,
        PooledBuffer arguments,
        List<ActivationMessage> messages,
        PooledBuffer logs,
        CancellationToken cancellationToken)
    {
        logs.Write("["u8);
        foreach (var (rule, link) in trigger.Rules!)
        {
            var (message, refusal, isFault) = await ComposeAsync(request, rule, link, arguments, cancellationToken);
            if (message is not null)
            {
                messages.Add(message);
            }

            WriteLine(logs, rule, link.Action, message?.Id, refusal, isFault);
        }

        logs.Write("]"u8);
    }

    private async ValueTask<(ActivationMessage? Message, string? Refusal, bool IsFault)> ComposeAsync(
        FireRequest request,
        string rule,
        RuleLink link,
        PooledBuffer arguments,
        CancellationToken cancellationToken)
    {
        if (!link.Active)
        {
            return (null, $"Rule '{rule}' is inactive, action '{link.Action.DocumentId}' was not activated.", false);
        }

        if (admit.Invocation(request.Caller, out var place) is { IsAdmitted: false } refused)
        {
            return (null, refused.Text, false);
        }

        using var admitted = place!;
        if (await check(request.Caller, EntityKind.Action, link.Action, cancellationToken) is { } forbidden)
        {
            return (null, forbidden.Text, forbidden.Status >= 500);
        }

        var limitBytes = limits.PayloadBytes(request.Caller.Limits);
        if (arguments.Length > limitBytes)
        {
            return (null, ApiTexts.PayloadTooLarge(arguments.Length, limitBytes), false);
        }

        var call = new InvokeRequest(request.Caller, admitted, link.Action, arguments.Memory, BodyOwner: null, Blocking: false, 0, request.TransactionId, request.ForceStore);
        var (answer, message) = await invoke.ComposeAsync(call, cancellationToken);
        if (message is not null)
        {
            return (message, null, false);
        }

        var refusal = InvokeRefusal.Of(answer.Outcome, answer.Action?.Executable.Kind, default);
        return (null, refusal.Text, refusal.Status >= 500);
    }

    /// <summary>One line of the trigger's logs: compact JSON inside a JSON string.</summary>
    private static void WriteLine(PooledBuffer logs, string rule, FullyQualifiedName action, ActivationId? id, string? error, bool isFault)
    {
        using var line = PooledBuffer.Rent();
        using (var json = new Utf8JsonWriter(line, Options))
        {
            json.WriteStartObject();
            json.WriteNumber("statusCode"u8, error is null ? 0 : isFault ? 3 : 1);
            json.WriteBoolean("success"u8, error is null);
            if (error is null)
            {
                json.WriteString("activationId"u8, id.ToString());
            }
            else
            {
                json.WriteString("error"u8, error);
            }

            json.WriteString("rule"u8, rule);
            json.WriteString("action"u8, action.DocumentId);
            json.WriteEndObject();
        }

        if (logs.Length > 1)
        {
            logs.Write(","u8);
        }

        JsonText.WriteString(logs, Encoding.UTF8.GetString(line.Span));
    }

    /// <summary>A fire that is to be sent; without a record, how it came out.</summary>
    private readonly record struct Fire(InvokeOutcome Outcome, FinishedActivation? Record = null, List<ActivationMessage>? Messages = null);
}
