namespace Frusta.Store.Entities;

/// <summary>One write on its way to the writer: a document to be put, or a deletion when there is no <see cref="Row"/>.</summary>
internal sealed class EntityWrite(string documentId, string expectedRevision, EntityRow? row, byte[]? code)
{
    public string DocumentId => documentId;

    /// <summary>The revision that must be stored now; empty when there must be none.</summary>
    public string ExpectedRevision => expectedRevision;

    public EntityRow? Row => row;

    public byte[]? Code => code;

    public long SizeBytes { get; } = 512 + (row?.Body.Length ?? 0) + (code?.Length ?? 0);

    /// <summary>True after the commit, false on a conflict. Continuations never run on the writer.</summary>
    public TaskCompletionSource<bool> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What the statements found, to be answered after the commit.</summary>
    public bool Applied { get; set; }
}

/// <summary>What is stored of one document.</summary>
internal sealed record EntityRow(
    int Kind, string Namespace, string? Package, string Name, long UpdatedMs, bool Public, string? Attachment, string Revision, byte[] Body);
