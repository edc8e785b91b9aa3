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
    /// <summary>In this process writers take turns, so that more than one further attempt means another process at work.</summary>
    private const int MostAttempts = 100;

    private readonly Turns _turns = new();
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

    /// <summary>Waits for the turn to write a package or actions in it; to be disposed when it is written.</summary>
    internal ValueTask<IDisposable> TakeTurnAsync(FullyQualifiedName package, CancellationToken cancellationToken) =>
        _turns.TakeAsync(package.DocumentId, cancellationToken);

    /// <summary>Waits for the turn to write rules and triggers of a namespace, and changes them as <see cref="ChangeAsync"/> does.</summary>
    internal async ValueTask<ApiAnswer> ChangeInTurnAsync(string namespaceName, Func<ValueTask<Change>> decide, CancellationToken cancellationToken)
    {
        using var turn = await _turns.TakeAsync(namespaceName, cancellationToken);
        return await ChangeAsync(decide, cancellationToken);
    }

    /// <summary>Decides what to write, writes it, and decides anew as long as another writer was in between.</summary>
    /// <param name="decide">Reads the documents as they are now. Called once for each attempt.</param>
    /// <param name="cancellationToken">Ends the wait, never half a change.</param>
    /// <returns>What was decided; 409, and nothing has happened, when others were always first.</returns>
    internal async ValueTask<ApiAnswer> ChangeAsync(Func<ValueTask<Change>> decide, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < MostAttempts; attempt++)
        {
            var change = await decide();
            if (change.Unit is not { } unit || await store.WriteAsync(unit, cancellationToken))
            {
                return change.Answer();
            }
        }

        return ApiAnswer.Error(409, ApiTexts.Conflict);
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

/// <summary>What a request makes of the documents as they are.</summary>
/// <param name="Unit">What to write; null for nothing.</param>
/// <param name="Answer">Makes the answer once it is written.</param>
internal readonly record struct Change(EntityUnit? Unit, Func<ApiAnswer> Answer)
{
    public static implicit operator Change(ApiAnswer answer) => new(null, () => answer);
}
