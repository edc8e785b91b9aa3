using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;

namespace Frusta.Invoker.Run;

/// <summary>Records of activations that no sandbox has run.</summary>
internal static class FallbackRecord
{
    private const string UnknownKind = "unknown";

    /// <summary>The record of an activation whose action could not be read or may not run: its annotations are only path, kind <c>unknown</c> and causedBy.</summary>
    public static FinishedActivation Write(ActivationMessage message, ActivationStatus status, string error, long nowMs)
    {
        using var result = PooledBuffer.Rent();
        ClassifyAnswer.WriteError(result, error);
        var record = new ActivationRecord
        {
            Id = message.Id,
            Namespace = message.User.NamespaceName,
            Name = message.Action.Name,
            Version = message.ActionVersion,
            Subject = message.User.Subject,
            Cause = message.Cause,
            StartMs = nowMs,
            EndMs = nowMs,
            Status = status,
            Result = result.Span,
            Action = message.Action,
            Kind = UnknownKind,
        };
        return Finish(message, record);
    }

    /// <summary>The record of an activation whose action is known, but which did not run.</summary>
    public static FinishedActivation Write(ActivationMessage message, ExecutableAction action, ActivationStatus status, string error, long nowMs)
    {
        using var result = PooledBuffer.Rent();
        ClassifyAnswer.WriteError(result, error);
        var record = new ActivationRecord
        {
            Id = message.Id,
            Namespace = message.User.NamespaceName,
            Name = action.Name.Name,
            Version = action.Version,
            Subject = message.User.Subject,
            Cause = message.Cause,
            StartMs = nowMs,
            EndMs = nowMs,
            Status = status,
            Result = result.Span,
            Action = action.Name,
            Kind = action.Kind,
            Limits = action.Limits,
            TimedOut = false,
            WaitMs = Math.Max(0, nowMs - message.ArrivedMs),
            Binding = message.Binding,
        };
        return Finish(message, record);
    }

    private static FinishedActivation Finish(ActivationMessage message, in ActivationRecord record) => ActivationRecordWriter.Finish(
        record,
        ActivationRecordWriter.FilterName(message.Action, message.Binding),
        store: message.User.Limits.StoreActivations != false);
}
