using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Invocation;
using Frusta.Controller.Refusals;
using Frusta.Store.Entities;

namespace Frusta.Controller.Api;

/// <summary><c>.../triggers</c>, all but firing.</summary>
public sealed class TriggersApi(EntityWrites entities, EntityAnswers answers, Entitle entitle, RuntimesManifest manifest)
{
    private const string Feed = "feed";

    public ValueTask<ApiAnswer> ListAsync(ApiCall call, string namespaceName) =>
        answers.ListAsync(call, "triggers", new EntityQuery(EntityKind.Trigger, namespaceName));

    public async ValueTask<ApiAnswer> GetAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Read, EntityKind.Trigger, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (trigger, refusal) = await entities.RequireAsync<TriggerDocument>(name.DocumentId, call.Aborted);
        return refusal ?? EntityJson.Trigger(await RuleLinks.CountingAsync(trigger!, entities.Store.GetAsync, call.Aborted));
    }

    public async ValueTask<ApiAnswer> PutAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Put, EntityKind.Trigger, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (body, refusal) = await EntityBody.ReadAsync(call, entities.Limits, manifest);
        if (refusal is { } refused)
        {
            return refused;
        }

        using (body)
        {
            if (!call.Query.Boolean("overwrite", byDefault: false).TryGet(out var overwrite, out var malformedQuery))
            {
                return malformedQuery;
            }

            if (!Read(body!).TryGet(out var put, out var malformed))
            {
                return malformed;
            }

            return await answers.ChangeInTurnAsync(name.Namespace, () => PutAsync(name, overwrite, put, call.Aborted), call.Aborted);
        }
    }

    public async ValueTask<ApiAnswer> DeleteAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entitle.CheckAsync(call.Caller, Right.Delete, EntityKind.Trigger, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        return await answers.ChangeInTurnAsync(name.Namespace, () => DeleteAsync(name, call.Aborted), call.Aborted);
    }

    /// <summary>Writes the trigger, and keeps its links as they are now.</summary>
    private async ValueTask<Change<ApiAnswer>> PutAsync(FullyQualifiedName name, bool overwrite, PutTrigger put, CancellationToken cancellationToken)
    {
        var (old, conflict) = await entities.FindForPutAsync<TriggerDocument>(name, overwrite, cancellationToken);
        if (conflict is { } conflicting)
        {
            return conflicting;
        }

        if (old is null && !HasValidFeed(put.Annotations))
        {
            return ApiAnswer.Error(400, EntityTexts.FeedMalformed);
        }

        var trigger = new TriggerDocument
        {
            Name = name,
            Version = put.Version ?? (old is null ? SemanticVersion.First : SemanticVersion.Next(old.Version)),
            Publish = put.Publish ?? old?.Publish ?? false,
            Annotations = put.Annotations ?? old?.Annotations ?? [],
            Parameters = put.Parameters ?? old?.Parameters ?? [],
            Rules = old is null ? null : (await RuleLinks.CountingAsync(old, entities.Store.GetAsync, cancellationToken)).Rules,
            UpdatedMs = entities.Stamp(),
            Revision = old?.Revision ?? "",
        };
        return new Change<ApiAnswer>(EntityUnit.Of(EntityChange.Put(trigger)), () => EntityJson.Trigger(trigger));
    }

    /// <summary>Deletes the trigger. Its rules stay, and are inactive from now on.</summary>
    private async ValueTask<Change<ApiAnswer>> DeleteAsync(FullyQualifiedName name, CancellationToken cancellationToken)
    {
        var (trigger, refusal) = await entities.RequireAsync<TriggerDocument>(name.DocumentId, cancellationToken);
        if (refusal is { } refused)
        {
            return refused;
        }

        var shown = await RuleLinks.CountingAsync(trigger!, entities.Store.GetAsync, cancellationToken);
        return new Change<ApiAnswer>(EntityUnit.Of(EntityChange.Delete(trigger!)), () => EntityJson.Trigger(shown));
    }

    private static Reading<PutTrigger> Read(EntityBody body)
    {
        if (!body.Version().TryGet(out var version, out var refusal) || !body.Publish().TryGet(out var publish, out refusal))
        {
            return refusal;
        }

        return body.TryGet("limits", out var limits) && limits.ValueKind != System.Text.Json.JsonValueKind.Object
            ? Refusal.Malformed(ApiTexts.ObjectExpected)
            : new PutTrigger(body.Parameters, body.Annotations, version, publish);
    }

    private static bool HasValidFeed(IReadOnlyList<KeyValue>? annotations)
    {
        if (annotations?.FirstOrDefault(pair => string.Equals(pair.Key, Feed, StringComparison.Ordinal)) is not { } feed)
        {
            return true;
        }

        using var value = System.Text.Json.JsonDocument.Parse(feed.Value, JsonBounds.Document);
        if (value.RootElement.ValueKind != System.Text.Json.JsonValueKind.String)
        {
            return false;
        }

        var segments = value.RootElement.GetString()!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return segments.Length > 0 && segments.All(segment => EntityName.IsValid(segment));
    }

    private sealed record PutTrigger(IReadOnlyList<KeyValue>? Parameters, IReadOnlyList<KeyValue>? Annotations, string? Version, bool? Publish);
}
