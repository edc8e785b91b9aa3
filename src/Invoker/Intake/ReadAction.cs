using Frusta.Contracts.Entities;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Messages;
using Frusta.Store.Entities;

namespace Frusta.Invoker.Intake;

/// <summary>The action of a message, or why there is none.</summary>
internal readonly record struct Resolution(ExecutableAction? Action, ActivationStatus Status, string Error);

/// <summary>Reads the action of a message that came without it: after a restart, or from another process.</summary>
internal static class ReadAction
{
    /// <summary>
    /// Finds the action as OpenWhisk's invoker does: an action that was updated since the message was accepted runs as it is now,
    /// so that no accepted activation is lost to an update.
    /// </summary>
    public static async ValueTask<Resolution> FindAsync(ActivationMessage message, IEntityStore store, CancellationToken cancellationToken)
    {
        try
        {
            return await store.GetAsync(message.Action.DocumentId, cancellationToken) switch
            {
                ActionDocument { Exec.IsSequence: false } document => new Resolution(ExecutableAction.From(document), default, ""),
                null => new Resolution(null, ActivationStatus.ApplicationError, ExecutionTexts.ActionRemoved),
                ActionDocument => new Resolution(null, ActivationStatus.WhiskError, ExecutionTexts.ActionUnreadable),
                _ => new Resolution(null, ActivationStatus.WhiskError, ExecutionTexts.ActionMismatch),
            };
        }
        catch (CorruptEntityException)
        {
            return new Resolution(null, ActivationStatus.WhiskError, ExecutionTexts.ActionMismatch);
        }
    }
}
