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

/// <summary>The outcome of a fire.</summary>
/// <param name="Problem">Why nothing was fired.</param>
/// <param name="Id">The trigger's activation; null without a problem where no rule is active: 204, and nothing is stored.</param>
public readonly record struct FireAnswer(InvokeProblem Problem, ActivationId? Id);

/// <summary>Fires a trigger: one record for it and one activation for each active rule, all of them durable as one entry.</summary>
/// <remarks>
/// 1 find the trigger and its active rules   2 read the event   3 compose each rule's activation, as a call of its
/// action with trigger parameters, headers and event merged     4 write the trigger's record, with a line for each rule
/// 5 send all at once. A rule that is refused does not keep the others from running: its line in the trigger's logs says why.
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

    /// <summary>Fires. Where event and trigger are too large for an event loop, steps 2 to 4 run on a thread for large JSON.</summary>
    public async ValueTask<FireAnswer> RunAsync(FireRequest request, CancellationToken cancellationToken)
    {
        // 1 Find the trigger.
        var (problem, trigger) = await FindAsync(request.Trigger, cancellationToken);

        // 2 Read the event, 3 compose and 4 write down.
        var fire = !workers.IsLarge(request.Body.Length + (trigger?.SizeBytes ?? 0))
            ? await MakeAsync(request, problem, trigger, cancellationToken)
            : await workers.RunLargeAsync(request.Caller.NamespaceUuid, () => MakeAsync(request, problem, trigger, cancellationToken), new Fire(InvokeProblem.Full));
        if (fire.Record is not { } record)
        {
            return new FireAnswer(fire.Problem, Id: null);
        }

        // 5 Send.
        var isSent = false;
        try
        {
            var outcome = await bus.FireAsync(record, [.. fire.Activations!.Select(static composed => composed.Outgoing)], CancellationToken.None);
            isSent = outcome == SendOutcome.Sent;
            if (isSent)
            {
                return new FireAnswer(InvokeProblem.None, record.Id);
            }

            record.Record.Dispose();
            return new FireAnswer(InvokeAction.ProblemOf(outcome), Id: null);
        }
        finally
        {
            if (!isSent)
            {
                Withdraw(fire.Activations!);
            }
        }
    }

    /// <summary>Makes the record and the activations of a fire. A fault of the event is reported before one of the trigger.</summary>
    private async ValueTask<Fire> MakeAsync(FireRequest request, InvokeProblem problem, TriggerDocument? trigger, CancellationToken cancellationToken)
    {
        using var payload = PooledBuffer.Rent(request.Body.Length + 2);
        var readable = MergeArguments.Merge(request.Body.Span, ParameterLayer.Empty, refuseFinal: false, payload);
        if (readable != MergeOutcome.Merged)
        {
            return new Fire(readable == MergeOutcome.NotAnObject ? InvokeProblem.NotAnObject : InvokeProblem.Malformed);
        }

        if (trigger is null)
        {
            return new Fire(problem);
        }

        if (trigger.Rules is null || !trigger.Rules.Values.Any(static rule => rule.Active))
        {
            return new Fire(InvokeProblem.None);
        }

        var startMs = clock.GetUtcNow().ToUnixTimeMilliseconds();
        using var arguments = Arguments(request, trigger, payload);
        using var logs = PooledBuffer.Rent();
        var activations = new List<ComposedActivation>(trigger.Rules.Count);
        var isMade = false;
        try
        {
            await ComposeRulesAsync(request, trigger, arguments, activations, logs, cancellationToken);
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
            return new Fire(InvokeProblem.None, record, activations);
        }
        finally
        {
            if (!isMade)
            {
                Withdraw(activations);
            }
        }
    }

    private async ValueTask<(InvokeProblem Problem, TriggerDocument? Trigger)> FindAsync(
        FullyQualifiedName name,
        CancellationToken cancellationToken)
    {
        var (outcome, trigger) = await read(name.DocumentId, cancellationToken).OfKindAsync<TriggerDocument>();
        return (InvokeAction.ProblemOf(outcome), trigger is null ? null : await RuleLinks.CountingAsync(trigger, read, cancellationToken));
    }

    /// <summary>Trigger parameters, over them <c>__ow_headers</c>, over these the event.</summary>
    private static PooledBuffer Arguments(FireRequest request, TriggerDocument trigger, PooledBuffer payload)
    {
        var layer = ParameterLayer.Merge(trigger.Parameters, [new KeyValue("__ow_headers", request.Headers)]);
        var arguments = PooledBuffer.Rent(layer.SizeBytes + payload.Length + 2);
        MergeArguments.Merge(payload.Span, layer, refuseFinal: false, arguments);
        return arguments;
    }

    private async ValueTask ComposeRulesAsync(
        FireRequest request,
        TriggerDocument trigger,
        PooledBuffer arguments,
        List<ComposedActivation> activations,
        PooledBuffer logs,
        CancellationToken cancellationToken)
    {
        logs.Write("["u8);
        foreach (var (rule, link) in trigger.Rules!)
        {
            var outcome = await ComposeRuleAsync(request, rule, link, arguments, cancellationToken);
            if (outcome.Activation is { } activation)
            {
                activations.Add(activation);
            }

            WriteLine(logs, rule, link.Action, outcome);
        }

        logs.Write("]"u8);
    }

    private async ValueTask<RuleOutcome> ComposeRuleAsync(
        FireRequest request,
        string rule,
        RuleLink link,
        PooledBuffer arguments,
        CancellationToken cancellationToken)
    {
        if (!link.Active)
        {
            return new RuleOutcome($"Rule '{rule}' is inactive, action '{link.Action.DocumentId}' was not activated.");
        }

        if (admit.Invocation(request.Caller, out var place) is { IsAdmitted: false } refused)
        {
            return new RuleOutcome(refused.Text);
        }

        using var admitted = place!;
        if (await check(request.Caller, EntityKind.Action, link.Action, cancellationToken) is { } forbidden)
        {
            return new RuleOutcome(forbidden);
        }

        var limitBytes = limits.PayloadBytes(request.Caller.Limits);
        if (arguments.Length > limitBytes)
        {
            return new RuleOutcome(ApiTexts.PayloadTooLarge(arguments.Length, limitBytes));
        }

        var call = new InvokeRequest(request.Caller, admitted, link.Action, arguments.Memory, BodyOwner: null, Blocking: false, 0, request.TransactionId, request.ForceStore);
        var composed = await invoke.ComposeAsync(call, cancellationToken);
        return composed.Problem == InvokeProblem.None
            ? new RuleOutcome(composed)
            : new RuleOutcome(InvokeRefusal.Of(composed.Problem, composed.Action?.Executable.Kind, default));
    }

    private static void Withdraw(List<ComposedActivation> activations)
    {
        foreach (var activation in activations)
        {
            activation.Withdraw();
        }
    }

    /// <summary>One line of the trigger's logs: compact JSON inside a JSON string.</summary>
    private static void WriteLine(PooledBuffer logs, string rule, FullyQualifiedName action, RuleOutcome outcome)
    {
        using var line = PooledBuffer.Rent();
        using (var json = new Utf8JsonWriter(line, Options))
        {
            json.WriteStartObject();
            json.WriteNumber("statusCode"u8, outcome.Error is null ? 0 : outcome.IsFault ? 3 : 1);
            json.WriteBoolean("success"u8, outcome.Error is null);
            if (outcome.Activation is { } activation)
            {
                json.WriteString("activationId"u8, activation.Message.Id.ToString());
            }
            else
            {
                json.WriteString("error"u8, outcome.Error);
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

    /// <summary>A fire that is to be sent. Without a record nothing is sent: the problem says why, or there is no problem and no rule is active.</summary>
    private readonly record struct Fire(InvokeProblem Problem, FinishedActivation? Record = null, List<ComposedActivation>? Activations = null);

    /// <summary>The activation that a rule starts, or the error of its line in the trigger's logs.</summary>
    private readonly struct RuleOutcome
    {
        internal RuleOutcome(ComposedActivation activation) => Activation = activation;

        internal RuleOutcome(string error) => Error = error;

        internal RuleOutcome(Refusal refusal) => (Error, IsFault) = (refusal.Text, refusal.Status >= 500);

        internal ComposedActivation? Activation { get; }

        internal string? Error { get; }

        /// <summary>True for a fault of the platform or its data, false for one of the user.</summary>
        internal bool IsFault { get; }
    }
}
