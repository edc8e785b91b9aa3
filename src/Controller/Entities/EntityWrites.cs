using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Refusals;
using Frusta.Store;
using Frusta.Store.Entities;

namespace Frusta.Controller.Entities;

/// <summary>Reads and writes documents of the four collections: finds them, takes turns, stamps them, and changes several as one.</summary>
public sealed class EntityWrites(IEntityStore store, LimitsOptions limits, TimeProvider clock)
{
    /// <summary>
    /// Attempts at a change before it is refused. Writers of this process take turns, so a third attempt is needed only when another process writes too.
    /// </summary>
    private const int MostAttempts = 100;

    private readonly Turns _turns = new();
    private long _lastStampMs;

    public IEntityStore Store => store;

    public LimitsOptions Limits => limits;

    /// <summary>Milliseconds since 1970 for a document that is written. Each is greater than the last, since lists are in this order.</summary>
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

    /// <summary>Reads an entity. One that is too large for an event loop moves its request to the threads for large JSON.</summary>
    /// <exception cref="CorruptEntityException">The document cannot be read as any entity.</exception>
    /// <exception cref="StoreOverloadedException">Too many requests work on large JSON. An exception, so that no caller takes the document for a missing one.</exception>
    internal async ValueTask<EntityDocument?> ReadAsync(string documentId, CancellationToken cancellationToken)
    {
        var document = await store.GetAsync(documentId, cancellationToken);
        return document is null || await JsonTurn.EnterForAsync(document.SizeBytes)
            ? document
            : throw new StoreOverloadedException($"Too many requests work on documents as large as '{documentId}'.");
    }

    /// <summary>Finds an entity of one kind, as <see cref="ReadAsync"/> reads it.</summary>
    /// <returns>The document; both null when there is none; or the refusal when it has another kind or cannot be read.</returns>
    internal async ValueTask<(T? Document, Refusal? Refusal)> FindAsync<T>(string documentId, CancellationToken cancellationToken)
        where T : EntityDocument
    {
        var (outcome, document) = await ReadAsync(documentId, cancellationToken).OfKindAsync<T>();
        return (document, outcome == ResolveOutcome.NotFound ? null : RefusalOf(outcome));
    }

    /// <summary>As <see cref="FindAsync"/>, but a missing document is refused with 404.</summary>
    internal async ValueTask<(T? Document, Refusal? Refusal)> RequireAsync<T>(string documentId, CancellationToken cancellationToken)
        where T : EntityDocument
    {
        var (outcome, document) = await ReadAsync(documentId, cancellationToken).OfKindAsync<T>();
        return (document, RefusalOf(outcome));
    }

    /// <summary>Finds a package, and the package that it is bound to.</summary>
    internal ValueTask<FollowedPackage> FollowAsync(string packageId, CancellationToken cancellationToken) => FollowPackage.FollowAsync(ReadAsync, packageId, cancellationToken);

    /// <summary>The refusal of a request whose entity was not found; null when it was found.</summary>
    internal static Refusal? RefusalOf(ResolveOutcome outcome) => outcome switch
    {
        ResolveOutcome.Found => null,
        ResolveOutcome.NotFound => new Refusal(404),
        ResolveOutcome.OtherCollection => new Refusal(409, ApiTexts.OtherCollection),
        _ => new Refusal(500, ApiTexts.Corrupt),
    };

    /// <summary>The document that a PUT replaces, null for none; or the refusal, 409 when there is one and <paramref name="overwrite"/> is false.</summary>
    internal async ValueTask<(T? Document, Refusal? Refusal)> FindForPutAsync<T>(
        FullyQualifiedName name, bool overwrite, CancellationToken cancellationToken)
        where T : EntityDocument
    {
        var (document, refusal) = await FindAsync<T>(name.DocumentId, cancellationToken);
        return document is not null && !overwrite ? (null, new Refusal(409, ApiTexts.Exists)) : (document, refusal);
    }

    /// <summary>Waits for the turn to write a package or actions in it. The caller disposes the turn when it has written.</summary>
    internal ValueTask<IDisposable> TakeTurnAsync(FullyQualifiedName package, CancellationToken cancellationToken) =>
        _turns.TakeAsync(package.DocumentId, cancellationToken);

    /// <summary>Waits for the turn to write rules and triggers of a namespace, and changes them as <see cref="ChangeAsync"/> does.</summary>
    internal async ValueTask<(TAnswer? Answer, Refusal? Refusal)> ChangeInTurnAsync<TAnswer>(string namespaceName, Func<ValueTask<Change<TAnswer>>> decide, CancellationToken cancellationToken)
        where TAnswer : class
    {
        using var turn = await _turns.TakeAsync(namespaceName, cancellationToken);
        return await ChangeAsync(decide, cancellationToken);
    }

    /// <summary>Decides what to write, writes it, and decides anew as long as another writer was in between.</summary>
    /// <param name="decide">Reads the documents as they are now. Called once for each attempt.</param>
    /// <param name="cancellationToken">Ends the wait, never half a change.</param>
    /// <returns>The answer or refusal that was decided; a refusal with 409 when other writers were first at each attempt, so that nothing was written.</returns>
    internal async ValueTask<(TAnswer? Answer, Refusal? Refusal)> ChangeAsync<TAnswer>(Func<ValueTask<Change<TAnswer>>> decide, CancellationToken cancellationToken)
        where TAnswer : class
    {
        for (var attempt = 0; attempt < MostAttempts; attempt++)
        {
            var change = await decide();
            if (change.Unit is not { } unit || await store.WriteAsync(unit, cancellationToken))
            {
                return (change.Answer?.Invoke(), change.Refusal);
            }
        }

        return (null, new Refusal(409, ApiTexts.Conflict));
    }

    /// <summary>Merges layers of pairs; of pairs with the same key the last counts.</summary>
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
