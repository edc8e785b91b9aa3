using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Refusals;
using Frusta.Store;
using Frusta.Store.Entities;

namespace Frusta.Controller.Api;

/// <summary>The answers that the four collections have in common: a list, a package with its actions, an action's code, and the end of a change.</summary>
public sealed class EntityAnswers(EntityWrites entities)
{
    private static readonly byte[] ListStart = [.. "["u8];
    private static readonly byte[] ListEnd = [.. "]"u8];
    private static readonly byte[] FeedsStart = [.. "],\"feeds\":["u8];
    private static readonly byte[] FeedsEnd = [.. "]}"u8];

    /// <summary>As <see cref="EntityWrites.ChangeInTurnAsync"/>.</summary>
    internal async ValueTask<ApiAnswer> ChangeInTurnAsync(string namespaceName, Func<ValueTask<Change<ApiAnswer>>> decide, CancellationToken cancellationToken) =>
        AnswerOf(await entities.ChangeInTurnAsync(namespaceName, decide, cancellationToken));

    /// <summary>As <see cref="EntityWrites.ChangeAsync"/>.</summary>
    internal async ValueTask<ApiAnswer> ChangeAsync(Func<ValueTask<Change<ApiAnswer>>> decide, CancellationToken cancellationToken) =>
        AnswerOf(await entities.ChangeAsync(decide, cancellationToken));

    /// <summary>One page of a collection, or its length.</summary>
    internal async ValueTask<ApiAnswer> ListAsync(ApiCall call, string collection, EntityQuery query)
    {
        if (!call.Query.Page(collection, entities.Limits).TryGet(out var page, out var malformed))
        {
            return malformed;
        }

        if (page.Count)
        {
            return EntityJson.Count(collection, await entities.Store.CountAsync(query, call.Aborted), page.Skip);
        }

        var pages = ListPages.Cut(await entities.Store.ListAsync(query with { Skip = page.Skip, Limit = page.Limit }, call.Aborted), BytesOf);
        return call.TryHold(ListPages.Largest(pages, BytesOf), out var lease)
            ? ApiAnswer.Ok(new EntityList(entities.Store, pages, ListStart, ListEnd, static (window, document) => WriteEntry(window, document)), lease)
            : ApiAnswer.Error(503);
    }

    /// <summary>A package with its actions and feeds, which are read while the answer is sent.</summary>
    internal async ValueTask<ApiAnswer> PackageAsync(
        ApiCall call, PackageDocument package, IReadOnlyList<KeyValue> parameters, FullyQualifiedName place)
    {
        var pages = ListPages.Cut(await entities.Store.ListAsync(new EntityQuery(EntityKind.Action, place.Namespace, place.Name), call.Aborted), BytesOf);
        using var own = PooledBuffer.Rent();
        EntityJson.Append(own, json => EntityJson.WritePackage(json, package, parameters));
        own.Truncate(own.Length - 1); // actions and feeds go before the closing brace
        own.Write(",\"actions\":["u8);
        var actions = new EntityList(entities.Store, pages, own.Span.ToArray(), FeedsStart, static (window, action) => WriteMember(window, action, isFeed: false));
        var feeds = new EntityList(entities.Store, pages, default, FeedsEnd, static (window, action) => WriteMember(window, action, isFeed: true));
        return call.TryHold(own.Length + ListPages.Largest(pages, BytesOf), out var lease) ? ApiAnswer.Ok(new Joined(actions, feeds), lease) : ApiAnswer.Error(503);
    }

    /// <summary>Reads the code of an action for an answer, and holds its bytes. The caller discards it if there is no answer after all.</summary>
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
            var code = await entities.Store.ReadCodeAsync(action.Name.DocumentId, attachment, lease, call.Aborted);
            return new AnsweredCode(code?.Memory, code, lease);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    private static ApiAnswer AnswerOf((ApiAnswer? Answer, Refusal? Refusal) end) => end.Answer ?? end.Refusal!;

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
}
