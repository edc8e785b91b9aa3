using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Messages;
using Frusta.Store.Entities;

namespace Frusta.Invoker.Run;

/// <summary>The action of a message, or why there is none.</summary>
internal readonly record struct Resolution(ExecutableAction? Action, ActivationStatus Status, string Error);

/// <summary>Reads the action of a message that came without it: after a restart, or from another process.</summary>
internal static class ResolveAction
{
    /// <summary>
    /// Finds the action as OpenWhisk's invoker does: one that was updated since the message was accepted runs as it is now;
    /// nothing that was accepted is lost to an update.
    /// </summary>
    public static async ValueTask<Resolution> FindAsync(ActivationMessage message, IEntityStore store, CancellationToken cancellationToken)
    {
        try
        {
            return await store.GetAsync(message.Action.DocumentId, cancellationToken) switch
            {
                ActionDocument { Exec.IsSequence: false } document => new Resolution(Executable(document), default, ""),
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

    private static ExecutableAction Executable(ActionDocument document) => new(
        document.Name,
        document.Version,
        document.Revision,
        document.Exec.Kind,
        document.Exec.Main,
        document.Exec.Binary,
        document.Exec.CodeAttachment,
        document.Limits,
        ProvideApiKey: IsTruthy(document, "provide-api-key"),
        AllowNetwork: Find(document, "network") is not { } network || !network.Span.SequenceEqual("\"none\""u8),
        Retries: Find(document, "retries") is { } retries && ReadNumber(retries) is { } count ? count : 0);

    /// <summary>True as well when there is no such annotation: actions of old have none.</summary>
    private static bool IsTruthy(ActionDocument document, string annotation)
    {
        if (Find(document, annotation) is not { } value)
        {
            return true;
        }

        var reader = new Utf8JsonReader(value.Span);
        reader.Read();
        return reader.TokenType switch
        {
            JsonTokenType.False or JsonTokenType.Null => false,
            JsonTokenType.String => reader.ValueSpan.Length > 0,
            JsonTokenType.Number => !reader.TryGetDouble(out var number) || number != 0,
            _ => true,
        };
    }

    private static int? ReadNumber(ReadOnlyMemory<byte> value)
    {
        var reader = new Utf8JsonReader(value.Span);
        reader.Read();
        return reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var number) ? number : null;
    }

    private static ReadOnlyMemory<byte>? Find(ActionDocument document, string annotation)
    {
        ReadOnlyMemory<byte>? found = null;
        foreach (var pair in document.Annotations)
        {
            found = string.Equals(pair.Key, annotation, StringComparison.Ordinal) ? pair.Value : found;
        }

        return found;
    }
}
