using System.Globalization;
using Frusta.Contracts.Entities;
using Frusta.Store.Entities;

namespace Frusta.Controller.Tests.Entities;

/// <summary>A store without transactions, whose process a test ends after so many writes.</summary>
internal sealed class MemoryStore : RefusingEntityStore
{
    private readonly Dictionary<string, EntityDocument> _documents = new(StringComparer.Ordinal);
    private int _revisions;

    /// <summary>Writes that are still done; the one after them meets the end of the process.</summary>
    public int WritesLeft { get; set; } = int.MaxValue;

    /// <summary>Ids of documents that cannot be read.</summary>
    public HashSet<string> Corrupt { get; } = new(StringComparer.Ordinal);

    /// <summary>What every read fails with; null for none.</summary>
    public Exception? Bug { get; init; }

    public override ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken)
    {
        var failure = Corrupt.Contains(documentId) ? new CorruptEntityException(documentId) : Bug;
        return failure is null ? new(_documents.GetValueOrDefault(documentId)) : ValueTask.FromException<EntityDocument?>(failure);
    }

    public override ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken)
    {
        Write();
        if (!IsStored(document.Name.DocumentId, document.Revision))
        {
            return new((string?)null);
        }

        var written = document with { Revision = (++_revisions).ToString(CultureInfo.InvariantCulture) };
        _documents[document.Name.DocumentId] = written;
        return new(written.Revision);
    }

    public override ValueTask<bool> DeleteAsync(string documentId, string revision, CancellationToken cancellationToken)
    {
        Write();
        return new(IsStored(documentId, revision) && _documents.Remove(documentId));
    }

    public override ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken) => new("code"u8.ToArray());

    private bool IsStored(string documentId, string revision) =>
        string.Equals(_documents.GetValueOrDefault(documentId)?.Revision ?? "", revision, StringComparison.Ordinal);

    private void Write()
    {
        if (WritesLeft-- <= 0)
        {
            throw new IOException("The process has ended.");
        }
    }
}
