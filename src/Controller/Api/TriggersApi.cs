using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Store.Entities;

namespace Frusta.Controller.Api;

/// <summary><c>.../triggers</c>, all but firing.</summary>
public sealed class TriggersApi(EntityWrites entities)
{
    private const string Feed = "feed";

    public ValueTask<ApiAnswer> ListAsync(ApiCall call, string namespaceName) =>
        entities.ListAsync(call, "triggers", new EntityQuery(EntityKind.Trigger, namespaceName));

    public async ValueTask<ApiAnswer> GetAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entities.Entitle.CheckAsync(call.Caller, Right.Read, EntityKind.Trigger, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (trigger, refusal) = await entities.RequireAsync<TriggerDocument>(name.DocumentId, call.Aborted);
        return refusal ?? EntityJson.Trigger(trigger!);
    }

    public async ValueTask<ApiAnswer> PutAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entities.Entitle.CheckAsync(call.Caller, Right.Put, EntityKind.Trigger, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (body, refusal) = await EntityBody.ReadAsync(call, entities.Limits, entities.Manifest);
        if (refusal is { } refused)
        {
            return refused;
        }

        using (body)
        {
            if (call.Query.TryBoolean("overwrite", byDefault: false, out var overwrite) is { } malformedQuery)
            {
                return malformedQuery;
            }

            string? version = null;
            bool? publish = null;
            if (EntityBody.Guard(() => ReadRest(body!, out version, out publish)) is { } malformed)
            {
                return malformed;
            }

            var (old, conflict) = await entities.FindForPutAsync<TriggerDocument>(name, overwrite, call.Aborted);
            if (conflict is { } conflicting)
            {
                return conflicting;
            }

            if (old is null && !HasValidFeed(body!.Annotations))
            {
                return ApiAnswer.Error(400, EntityTexts.FeedMalformed);
            }

            var trigger = new TriggerDocument
            {
                Name = name,
                Version = version ?? (old is null ? SemanticVersion.First : SemanticVersion.Next(old.Version)),
                Publish = publish ?? old?.Publish ?? false,
                Annotations = body!.Annotations ?? old?.Annotations ?? [],
                Parameters = body.Parameters ?? old?.Parameters ?? [],
                Rules = old?.Rules,
                UpdatedMs = entities.Stamp(),
                Revision = old?.Revision ?? "",
            };
            return await entities.Store.PutAsync(trigger, null, call.Aborted) is null
                ? ApiAnswer.Error(409, ApiTexts.Conflict)
                : EntityJson.Trigger(trigger);
        }
    }

    public async ValueTask<ApiAnswer> DeleteAsync(ApiCall call, FullyQualifiedName name)
    {
        if (await entities.Entitle.CheckAsync(call.Caller, Right.Delete, EntityKind.Trigger, name, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (trigger, refusal) = await entities.RequireAsync<TriggerDocument>(name.DocumentId, call.Aborted);
        if (refusal is { } refused)
        {
            return refused;
        }

        return await entities.Store.DeleteAsync(name.DocumentId, trigger!.Revision, call.Aborted)
            ? EntityJson.Trigger(trigger)
            : ApiAnswer.Error(409, ApiTexts.Conflict);
    }

    private static ApiAnswer? ReadRest(EntityBody body, out string? version, out bool? publish)
    {
        version = body.Version();
        publish = body.Publish();
        if (body.TryGet("limits", out var limits) && limits.ValueKind != System.Text.Json.JsonValueKind.Object)
        {
            throw new MalformedContentException(EntityTexts.ObjectExpected);
        }

        return null;
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
}
