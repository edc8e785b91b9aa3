using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Store.Entities;

namespace Frusta.Testing;

/// <summary>A store of entities that refuses everything; a test's own store answers the part that its test is about.</summary>
public abstract class RefusingEntityStore : IEntityStore
{
    public virtual ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual ValueTask<bool> DeleteAsync(string documentId, string revision, CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual ValueTask<IReadOnlyList<ListedEntity>> ListAsync(EntityQuery query, CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual ValueTask<IReadOnlyList<EntityDocument>> GetSummariesAsync(IReadOnlyList<ListedEntity> page, CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual ValueTask<int> CountAsync(EntityQuery query, CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual ValueTask<MappedBuffer?> ReadCodeAsync(string documentId, string attachment, ByteLease lease, CancellationToken cancellationToken) => throw new NotSupportedException();
}
