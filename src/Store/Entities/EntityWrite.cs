namespace Frusta.Store.Entities;

/// <summary>One unit on its way to the writer: all of its changes, or none.</summary>
internal sealed class EntityWrite(IReadOnlyList<EntityRowChange> changes)
{
    public IReadOnlyList<EntityRowChange> Changes => changes;

    public long SizeBytes { get; } = changes.Sum(change => 512L + (change.Row?.Body.Length ?? 0) + (change.Code?.Length ?? 0));

    /// <summary>True after the commit, false on a conflict. Continuations never run on the writer.</summary>
    public TaskCompletionSource<bool> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The pieces of long code that are not written yet, in order.</summary>
    public Queue<CodePiece> Pieces { get; } = new(changes.SelectMany(CodePiece.Of));

    /// <summary>True once pieces were committed that no document names yet.</summary>
    public bool IsAhead { get; set; }

    /// <summary>True when the statements changed the documents, false on a conflict; it is answered after the commit.</summary>
    public bool Applied { get; set; }

    /// <summary>Code that no document names any more after this write.</summary>
    public List<(string DocumentId, string Attachment, long Bytes)> Replaced { get; } = [];
}

/// <summary>A document to be put, or a deletion when there is no <see cref="Row"/>.</summary>
/// <param name="DocumentId">Id of the document.</param>
/// <param name="ExpectedRevision">The revision that must be stored now; empty when there must be none.</param>
/// <param name="Row">The new content.</param>
/// <param name="Code">Code that goes with it; null keeps the stored code.</param>
internal sealed record EntityRowChange(string DocumentId, string ExpectedRevision, EntityRow? Row, byte[]? Code);

/// <summary>
/// A part of code that is too long for one commit. Pieces are committed one by one before the document that names them, so that other writes wait for one
/// piece at most.
/// </summary>
internal readonly record struct CodePiece(string DocumentId, string Attachment, int Number, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>Code of at most so many bytes is written in the commit of its document, which takes the writer some 20 ms.</summary>
    public const int MostBytes = 4 << 20;

    /// <summary>The pieces of a change in order; none when its code is short.</summary>
    public static IEnumerable<CodePiece> Of(EntityRowChange change)
    {
        if (change is { Code: { Length: > MostBytes } code, Row.Attachment: { } attachment })
        {
            for (var number = 0; number * (long)MostBytes < code.Length; number++)
            {
                var first = number * MostBytes;
                yield return new CodePiece(change.DocumentId, attachment, number, code.AsMemory(first, Math.Min(MostBytes, code.Length - first)));
            }
        }
    }
}

/// <summary>The columns of one stored document.</summary>
internal sealed record EntityRow(
    int Kind, string Namespace, string? Package, string Name, long UpdatedMs, bool Public, string? Attachment, string Revision, byte[] Body);
