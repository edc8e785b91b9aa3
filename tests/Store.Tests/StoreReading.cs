using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Store.Activations;
using Frusta.Store.Entities;

namespace Frusta.Store.Tests;

/// <summary>Whole lists and records at once, which only a test may ask for.</summary>
internal static class StoreReading
{
    public static async Task<IReadOnlyList<EntityDocument>> ListDocumentsAsync(this IEntityStore store, EntityQuery query, CancellationToken cancellationToken) =>
        await store.GetSummariesAsync(await store.ListAsync(query, cancellationToken), cancellationToken);

    public static async Task<byte[]?> GetAsync(this IActivationStore store, string namespaceName, ActivationId id, CancellationToken cancellationToken) =>
        await store.LocateAsync(namespaceName, id, cancellationToken) is { } location ? (await ReadAsync(store, [location], cancellationToken)).SingleOrDefault() : null;

    public static async Task<IReadOnlyList<byte[]>> ListAsync(this IActivationStore store, ActivationQuery query, CancellationToken cancellationToken) =>
        await ReadAsync(store, await store.LocateAsync(query, cancellationToken), cancellationToken);

    private static async Task<List<byte[]>> ReadAsync(IActivationStore store, IReadOnlyList<RecordLocation> locations, CancellationToken cancellationToken)
    {
        using var page = await store.ReadAsync(locations, cancellationToken);
        return [.. Enumerable.Range(0, page.Count).Select(i => page[i].ToArray())];
    }
}
