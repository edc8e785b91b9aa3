using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;

namespace Frusta.Store.Entities;

/// <summary>Keeps actions, packages, triggers and rules: documents with revisions, as in CouchDB.</summary>
public interface IEntityStore
{
    /// <summary>Reads a document of any kind by its id (<c>ns[/pkg]/name</c>); null when there is none.</summary>
    /// <exception cref="CorruptEntityException">The document cannot be read as any entity.</exception>
    ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken);

    /// <summary>
    /// Writes a document over the revision that it carries (an empty revision creates it), with its code when it has any, in one
    /// transaction. Null is a conflict: the stored document has another revision.
    /// </summary>
    /// <param name="document">The new content; its <see cref="EntityDocument.Revision"/> is the one that it replaces.</param>
    /// <param name="code">Code of an action in UTF-8 as it was sent, named by <see cref="ActionExec.CodeAttachment"/>; null keeps the stored code.</param>
    /// <param name="cancellationToken">Ends the wait, never half a write.</param>
    /// <returns>The new revision, or null on a conflict.</returns>
    ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken);

    /// <summary>Deletes a document at the given revision with its attachment. False is a conflict: there is no document with this revision.</summary>
    ValueTask<bool> DeleteAsync(string documentId, string revision, CancellationToken cancellationToken);

    /// <summary>Writes several documents as one: all of them, or none and false if any of them has another revision than expected.</summary>
    /// <remarks>
    /// A store with transactions writes a unit in one. This default is for a store without: it writes one document after the other, in the unit's
    /// order, and answers by the deciding one. False then means that nothing happened that a reader can see. A crash leaves either that, or a unit that has
    /// happened with links that are still to be removed. Where several processes share such a store, one of them may remove a link whose rule another is
    /// about to write: that store must, after the deciding change, read the changes before it again and write those anew that are missing.
    /// </remarks>
    /// <param name="unit">The documents, each with the revision that it must have now.</param>
    /// <param name="cancellationToken">Ends the wait, never half a unit.</param>
    async ValueTask<bool> WriteAsync(EntityUnit unit, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        for (var i = 0; i < unit.Changes.Count; i++)
        {
            var change = unit.Changes[i];
            var written = change.Document is { } document
                ? await PutAsync(document, change.Code, CancellationToken.None) is not null
                : await DeleteAsync(change.DocumentId, change.ExpectedRevision, CancellationToken.None);
            if (!written && i <= unit.Deciding)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Lists the documents that exist now, by <c>updated</c> descending, then document id descending. They are then read a page at a time.</summary>
    ValueTask<IReadOnlyList<ListedEntity>> ListAsync(EntityQuery query, CancellationToken cancellationToken);

    /// <summary>
    /// Reads a page of a list: each document as it is now, without its parameters and, of a trigger, without its rules, which no list shows.
    /// Documents that were deleted meanwhile, or cannot be decoded, are left out.
    /// </summary>
    ValueTask<IReadOnlyList<EntityDocument>> GetSummariesAsync(IReadOnlyList<ListedEntity> page, CancellationToken cancellationToken);

    /// <summary>Counts the documents that <see cref="ListAsync"/> would find without skip and limit.</summary>
    ValueTask<int> CountAsync(EntityQuery query, CancellationToken cancellationToken);

    /// <summary>
    /// Reads the code of an action; null when there is no such attachment. A store keeps the code of an action that was updated or deleted for a
    /// while, so that a call that came before runs the code that it found.
    /// </summary>
    ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken);

    /// <summary>
    /// As <see cref="GetCodeAsync"/>, for an answer: before the code is read, the lease takes its bytes in addition to those it holds. The caller disposes the
    /// code.
    /// </summary>
    /// <exception cref="StoreOverloadedException">The lease cannot hold so many bytes.</exception>
    ValueTask<MappedBuffer?> ReadCodeAsync(string documentId, string attachment, ByteLease lease, CancellationToken cancellationToken);
}

/// <summary>A document of a list.</summary>
/// <param name="DocumentId">Its id.</param>
/// <param name="Revision">Its revision when the list was made.</param>
/// <param name="Bytes">Bytes of the document at that time.</param>
public readonly record struct ListedEntity(string DocumentId, string Revision, int Bytes);

/// <summary>The documents that a list is about.</summary>
/// <param name="Kind">The collection.</param>
/// <param name="Namespace">Root namespace.</param>
/// <param name="Package">Only actions of this package; null is every action of the namespace.</param>
/// <param name="PublishedOnly">Only packages with <c>publish</c> that are not bindings: those that callers of other namespaces may see.</param>
/// <param name="Skip">How many to leave out at the start.</param>
/// <param name="Limit">Greatest number to return.</param>
public sealed record EntityQuery(EntityKind Kind, string Namespace, string? Package = null, bool PublishedOnly = false, int Skip = 0, int Limit = int.MaxValue);

/// <summary>A stored document that cannot be decoded as any entity.</summary>
public sealed class CorruptEntityException(string documentId, Exception? inner = null)
    : Exception($"The stored document '{documentId}' cannot be decoded.", inner);
