using System.Text;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;

namespace Frusta.Controller.Tests.Invocation;

/// <summary>A bus in which a test is the invoker.</summary>
internal sealed class FakeBus : IBus
{
    public SendOutcome Outcome { get; set; } = SendOutcome.Sent;

    public SendOutcome AcceptOutcome { get; set; } = SendOutcome.Sent;

    /// <summary>Called with each message that was taken.</summary>
    public Action<ActivationMessage>? OnSent { get; set; }

    public List<(ActivationMessage Message, bool AcceptFirst)> Sent { get; } = [];

    public List<ActivationMessage> AcceptedAfterwards { get; } = [];

    public FinishedActivation? TriggerRecord { get; private set; }

    public ValueTask<SendOutcome> SendAsync(ActivationMessage message, bool acceptFirst, CancellationToken cancellationToken)
    {
        if (Outcome == SendOutcome.Sent)
        {
            Sent.Add((message, acceptFirst));
            OnSent?.Invoke(message);
        }

        return ValueTask.FromResult(Outcome);
    }

    public ValueTask<SendOutcome> AcceptSentAsync(ActivationMessage message, CancellationToken cancellationToken)
    {
        AcceptedAfterwards.Add(message);
        return ValueTask.FromResult(AcceptOutcome);
    }

    public ValueTask<SendOutcome> FireAsync(FinishedActivation triggerRecord, IReadOnlyList<ActivationMessage> messages, CancellationToken cancellationToken)
    {
        if (Outcome == SendOutcome.Sent)
        {
            TriggerRecord = triggerRecord;
            Sent.AddRange(messages.Select(message => (message, true)));
        }

        return ValueTask.FromResult(Outcome);
    }

    /// <summary>Ends an activation as the bus does: reply, then record and message are let go.</summary>
    public static void End(ActivationMessage message, string result = "{\"ok\":true}", ActivationStatus status = ActivationStatus.Success)
    {
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
        message.Reply!.Complete(finished);
        finished.Record.Dispose();
        message.Release();
    }
}
