using Frusta.Contracts.Entities;
using Frusta.Store.Entities;

namespace Frusta.Controller.Entities;

/// <summary>Reads a document of whatever kind by its id, from a cache where there is one; null when there is none.</summary>
/// <exception cref="CorruptEntityException">The document cannot be read as any entity.</exception>
public delegate ValueTask<EntityDocument?> ReadEntity(string documentId, CancellationToken cancellationToken);

/// <summary>Whether an entity of the right kind was found under a name.</summary>
public enum ResolveOutcome : byte
{
    Found,

    /// <summary>404.</summary>
    NotFound,

    /// <summary>409: an entity of another kind has this name.</summary>
    OtherCollection,

    /// <summary>500: the document cannot be read as any entity.</summary>
    Corrupt,
}

/// <summary>Reading a document that is to be of one kind.</summary>
internal static class ReadEntityOfKind
{
    /// <summary>Waits for a document that is being read, and says whether it has the wanted kind. The document is null unless it was found.</summary>
    public static async ValueTask<(ResolveOutcome Outcome, T? Document)> OfKindAsync<T>(this ValueTask<EntityDocument?> reading)
        where T : EntityDocument
    {
        try
        {
            return await reading switch
            {
                T document => (ResolveOutcome.Found, document),
                null => (ResolveOutcome.NotFound, null),
                _ => (ResolveOutcome.OtherCollection, null),
            };
        }
        catch (CorruptEntityException)
        {
            return (ResolveOutcome.Corrupt, null);
        }
    }
}
