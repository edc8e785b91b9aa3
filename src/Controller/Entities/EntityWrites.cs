using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Api;
using Frusta.Controller.Entitlement;
using Frusta.Store.Entities;

namespace Frusta.Controller.Entities;

/// <summary>What the four collections have in common: where they are kept, who may see them, and how one is read, listed and stamped.</summary>
public sealed class EntityWrites(IEntityStore store, Entitle entitle, RuntimesManifest manifest, LimitsOptions limits, TimeProvider clock)
{
    private long _lastStampMs;

    public IEntityStore Store => store;

    public Entitle Entitle => entitle;

    public RuntimesManifest Manifest => manifest;

    public LimitsOptions Limits => limits;

    /// <summary>Milliseconds since 1970, each one later than the one before: lists go by it.</summary>
    public long Stamp()
    {
        while (true)
        {
            var last = Interlocked.Read(ref _lastStampMs);
            var next = Math.Max(last + 1, clock.GetUtcNow().ToUnixTimeMilliseconds());
            if (Interlocked.CompareExchange(ref _lastStampMs, next, last) == last)
            {
                return next;
            }
        }
    }

    /// <summary>Finds an entity of one kind.</summary>
    /// <returns>The document; or null with null when there is none; or null with what is wrong.</returns>
    internal async ValueTask<(T? Document, ApiAnswer? Refusal)> FindAsync<T>(string documentId, CancellationToken cancellationToken)
        where T : EntityDocument
    {
        try
        {
            return await store.GetAsync(documentId, cancellationToken) switch
            {
                null => (null, null),
                T document => (document, null),
                _ => (null, ApiAnswer.Error(409, ApiTexts.OtherCollection)),
            };
        }
        catch (CorruptEntityException)
        {
            return (null, ApiAnswer.Error(500, ApiTexts.Corrupt));
        }
    }

    /// <summary>As <see cref="FindAsync"/>, and what is missing is 404.</summary>
    internal async ValueTask<(T? Document, ApiAnswer? Refusal)> RequireAsync<T>(string documentId, CancellationToken cancellationToken)
        where T : EntityDocument
    {
        var (document, refusal) = await FindAsync<T>(documentId, cancellationToken);
        return document is null && refusal is null ? (null, ApiAnswer.Error(404)) : (document, refusal);
    }

    /// <summary>The document that a PUT replaces, or the 409 that says that it may not.</summary>
    internal async ValueTask<(T? Document, ApiAnswer? Refusal)> FindForPutAsync<T>(
        FullyQualifiedName name, bool overwrite, CancellationToken cancellationToken)
        where T : EntityDocument
    {
        var (document, refusal) = await FindAsync<T>(name.DocumentId, cancellationToken);
        return document is not null && !overwrite ? (null, ApiAnswer.Error(409, ApiTexts.Exists)) : (document, refusal);
    }

    /// <summary>One page of a collection, or its length.</summary>
    internal async ValueTask<ApiAnswer> ListAsync(ApiCall call, string collection, EntityQuery query)
    {
        if (call.Query.TryPage(collection, limits, out var page) is { } malformed)
        {
            return malformed;
        }

        return page.Count
            ? EntityJson.Count(collection, await store.CountAsync(query, call.Aborted), page.Skip)
            : EntityJson.List(await store.ListAsync(query with { Skip = page.Skip, Limit = page.Limit }, call.Aborted), EntityJson.WriteEntry);
    }

    /// <summary>Of one key the last wins.</summary>
    internal static IReadOnlyList<KeyValue> Merge(params ReadOnlySpan<IReadOnlyList<KeyValue>> layers)
    {
        var merged = new OrderedDictionary<string, KeyValue>(StringComparer.Ordinal);
        foreach (var layer in layers)
        {
            foreach (var pair in layer)
            {
                merged[pair.Key] = pair;
            }
        }

        return [.. merged.Values];
    }
}
