using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Api;
using Frusta.Controller.Entitlement;
using Frusta.Store;
using Frusta.Store.Entities;

namespace Frusta.Controller.Entities;

/// <summary>What the four collections have in common: where they are kept, who may see them, and how one is read, listed and stamped.</summary>
public sealed class EntityWrites(IEntityStore store, Entitle entitle, RuntimesManifest manifest, LimitsOptions limits, TimeProvider clock)
{
    private static readonly byte[] ListStart = [.. "["u8];
    private static readonly byte[] ListEnd = [.. "]"u8];
    private static readonly byte[] FeedsStart = [.. "],\"feeds\":["u8];
    private static readonly byte[] FeedsEnd = [.. "]}"u8];

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

    /// <summary>Finds an entity of one kind. One that is too large for an event loop takes its request to the threads for such things.</summary>
    /// <returns>The document; or null with null when there is none; or null with what is wrong.</returns>
    /// <exception cref="StoreOverloadedException">Too many requests have something large before them. Nobody is to take the document for one that is gone.</exception>
    internal async ValueTask<(T? Document, ApiAnswer? Refusal)> FindAsync<T>(string documentId, CancellationToken cancellationToken)
        where T : EntityDocument
    {
        try
        {
            return await store.GetAsync(documentId, cancellationToken) switch
            {
                null => (null, null),
                T document => await JsonTurn.EnterForAsync(document.SizeBytes)
                    ? (document, null)
                    : throw new StoreOverloadedException($"Too many requests have something as large as '{documentId}' before them."),
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

        if (page.Count)
        {
            return EntityJson.Count(collection, await store.CountAsync(query, call.Aborted), page.Skip);
        }

        var pages = ListPages.Cut(await store.ListAsync(query with { Skip = page.Skip, Limit = page.Limit }, call.Aborted), BytesOf);
        return call.TryHold(ListPages.Largest(pages, BytesOf), out var lease)
            ?? ApiAnswer.Ok(new EntityList(store, pages, ListStart, ListEnd, static (window, document) => WriteEntry(window, document)), lease);
    }

    /// <summary>A package with its actions and feeds, which are read while it is sent.</summary>
    internal async ValueTask<ApiAnswer> PackageAsync(
        ApiCall call, PackageDocument package, IReadOnlyList<KeyValue> parameters, FullyQualifiedName place)
    {
        var pages = ListPages.Cut(await store.ListAsync(new EntityQuery(EntityKind.Action, place.Namespace, place.Name), call.Aborted), BytesOf);
        using var own = PooledBuffer.Rent();
        EntityJson.Append(own, json => EntityJson.WritePackage(json, package, parameters));
        own.Truncate(own.Length - 1); // what follows goes before the closing brace
        own.Write(",\"actions\":["u8);
        var actions = new EntityList(store, pages, own.Span.ToArray(), FeedsStart, static (window, action) => WriteMember(window, action, isFeed: false));
        var feeds = new EntityList(store, pages, default, FeedsEnd, static (window, action) => WriteMember(window, action, isFeed: true));
        return call.TryHold(own.Length + ListPages.Largest(pages, BytesOf), out var lease) ?? ApiAnswer.Ok(new Joined(actions, feeds), lease);
    }

    /// <summary>The code of an action for an answer, which holds its bytes; it is the caller's to discard where there is no answer.</summary>
    /// <exception cref="StoreOverloadedException">There is no room for it.</exception>
    internal async ValueTask<AnsweredCode> CodeOfAsync(ApiCall call, ActionDocument action)
    {
        if (action.Exec.CodeAttachment is not { } attachment)
        {
            return default;
        }

        var lease = call.Answers.Begin();
        try
        {
            var code = await store.ReadCodeAsync(action.Name.DocumentId, attachment, lease, call.Aborted);
            return new AnsweredCode(code?.Memory, code, lease);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    private static int BytesOf(ListedEntity listed) => listed.Bytes;

    private static bool WriteEntry(PooledBuffer window, EntityDocument document)
    {
        EntityJson.Append(window, json => EntityJson.WriteEntry(json, document));
        return true;
    }

    private static bool WriteMember(PooledBuffer window, EntityDocument action, bool isFeed)
    {
        if (EntityJson.IsFeed(action) != isFeed)
        {
            return false;
        }

        EntityJson.Append(window, json => EntityJson.WriteMember(json, action));
        return true;
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
