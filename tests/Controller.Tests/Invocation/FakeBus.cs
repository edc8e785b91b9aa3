using System.Text;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Controller.Tests.Invocation;

/// <summary>A bus in which a test is the invoker.</summary>
internal sealed class FakeBus : IBus
{
    public SendOutcome Outcome { get; set; } = SendOutcome.Sent;

    public SendOutcome AcceptOutcome { get; set; } = SendOutcome.Sent;

    /// <summary>Called with each activation that was taken.</summary>
    public Action<OutgoingActivation>? OnSent { get; set; }

    public List<(OutgoingActivation Activation, bool AcceptFirst)> Sent { get; } = [];

    public List<ActivationId> AcceptedAfterwards { get; } = [];

    public FinishedActivation? TriggerRecord { get; private set; }

    public ValueTask<SendOutcome> SendAsync(OutgoingActivation activation, bool acceptFirst, CancellationToken cancellationToken)
    {
        if (Outcome == SendOutcome.Sent)
        {
            Sent.Add((activation, acceptFirst));
            OnSent?.Invoke(activation);
        }

        return ValueTask.FromResult(Outcome);
    }

    public ValueTask<SendOutcome> AcceptSentAsync(ActivationId id, CancellationToken cancellationToken)
    {
        AcceptedAfterwards.Add(id);
        return ValueTask.FromResult(AcceptOutcome);
    }

    public ValueTask<SendOutcome> FireAsync(FinishedActivation triggerRecord, IReadOnlyList<OutgoingActivation> activations, CancellationToken cancellationToken)
    {
        if (Outcome == SendOutcome.Sent)
        {
            TriggerRecord = triggerRecord;
            Sent.AddRange(activations.Select(static activation => (activation, true)));
        }

        return ValueTask.FromResult(Outcome);
    }

    /// <summary>Ends an activation as the bus does: reply, then record and message are let go.</summary>
    public static void End(OutgoingActivation activation, string result = "{\"ok\":true}", ActivationStatus status = ActivationStatus.Success)
    {
        var message = activation.Message;
        var finished = ActivationRecordWriter.Finish(
            new ActivationRecord
            {
                Id = message.Id,
                Namespace = message.User.NamespaceName,
                Name = message.Action.Name,
                Version = message.ActionVersion,
                Subject = message.User.Subject,
                StartMs = 100,
                EndMs = 150,
                Status = status,
                Result = Encoding.UTF8.GetBytes(result),
                Logs = "[\"a line\"]"u8,
                Action = message.Action,
                Kind = "nodejs:20",
                Limits = new ActionLimits(),
                Binding = message.Binding,
            },
            message.Action.Name);
        activation.Reply!.Complete(finished);
        finished.Record.Dispose();
        message.Release();
    }
}
