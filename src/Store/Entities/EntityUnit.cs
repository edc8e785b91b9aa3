using Frusta.Contracts.Entities;

namespace Frusta.Store.Entities;

/// <summary>One document of a unit: put when there is a <see cref="Document"/>, else deleted.</summary>
public sealed record EntityChange
{
    public required string DocumentId { get; init; }

    /// <summary>The revision that must be stored now; empty when there must be none.</summary>
    public required string ExpectedRevision { get; init; }

    /// <summary>The new content, or null for a deletion.</summary>
    public EntityDocument? Document { get; init; }

    /// <summary>Code of an action in UTF-8, named by <see cref="ActionExec.CodeAttachment"/>; null keeps what is stored.</summary>
    public ReadOnlyMemory<byte>? Code { get; init; }

    /// <summary>Writes a document over the revision that it carries.</summary>
    public static EntityChange Put(EntityDocument document, ReadOnlyMemory<byte>? code = null) =>
        new() { DocumentId = document.Name.DocumentId, ExpectedRevision = document.Revision, Document = document, Code = code };

    /// <summary>Deletes a document as it was listed.</summary>
    public static EntityChange Delete(ListedEntity listed) => new() { DocumentId = listed.DocumentId, ExpectedRevision = listed.Revision };

    /// <summary>Deletes a document as it was read.</summary>
    public static EntityChange Delete(EntityDocument document) => new() { DocumentId = document.Name.DocumentId, ExpectedRevision = document.Revision };
}

/// <summary>Documents that change together, such as a rule and its trigger. No document is in a unit twice.</summary>
/// <remarks>
/// The order is for stores that have no transactions. Such a store stops at the first change whose document another writer has changed, and a crash may
/// stop it between any two changes. One change decides: once it is written, the unit has happened. Changes before it must have no effect without it;
/// changes after it only remove documents that have no effect any more. Readers ignore documents of both kinds. For a rule and its trigger this means:
/// to make a rule, first the link is written, then the rule; to delete it, first the rule is deleted, then the link.
/// </remarks>
/// <param name="Changes">All of them, in the order in which a store without transactions writes them.</param>
/// <param name="Deciding">Index of the change that makes the unit happen.</param>
public sealed record EntityUnit(IReadOnlyList<EntityChange> Changes, int Deciding = 0)
{
    /// <summary>A unit of one document.</summary>
    public static EntityUnit Of(EntityChange change) => new([change]);
}
