using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Threading.Channels;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace Frusta.Store.Entities;

/// <summary>The entity store of a single node: documents and attachments in one SQLite file, each commit on disk before its answer.</summary>
/// <remarks>Statements run on the thread pool only; at most <see cref="EntityStoreOptions.Readers"/> of its threads read at a time, and one writes.</remarks>
public sealed partial class SqliteEntityStore : IEntityStore, IAsyncDisposable
{
    /// <summary>Name of the file in the store's folder.</summary>
    public const string FileName = "entities.db";

    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly EntityWriter _writer;
    private readonly Channel<EntityReader> _readers;
    private readonly int _readerCount;

    private SqliteEntityStore(string path, SqliteConnection connection, EntityStoreOptions options, TimeProvider clock, ILogger logger)
    {
        _clock = clock;
        _logger = logger;
        _writer = new EntityWriter(connection, options, clock, logger);
        _readers = Channel.CreateBounded<EntityReader>(options.Readers);
        _readerCount = options.Readers;
        for (var i = 0; i < options.Readers; i++)
        {
            _readers.Writer.TryWrite(new EntityReader(path));
        }
    }

    /// <summary>Opens the store in a folder that no other program uses, or makes it.</summary>
    /// <exception cref="StoreFormatException">A newer program wrote it.</exception>
    public static SqliteEntityStore Open(string folder, EntityStoreOptions options, TimeProvider clock, ILogger<SqliteEntityStore> logger)
    {
        var path = Path.Combine(folder, FileName);
        var connection = SqliteFile.OpenWriter(path, EntitySchema.Steps, "FULL");
        return new SqliteEntityStore(path, connection, options, clock, logger);
    }

    public async ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken)
    {
        StoreMetrics.DocumentGet();
        var begun = _clock.GetTimestamp();
        var row = await ReadAsync(reader => reader.Get(documentId), cancellationToken);
        StoreMetrics.DocumentGot(_clock.GetElapsedTime(begun));
        return row is var (revision, body) ? Decode(documentId, revision, body) : null;
    }

    /// <inheritdoc/>
    /// <exception cref="StoreOverloadedException">Too many writes wait.</exception>
    /// <exception cref="StoreFullException">The disk has no room; nothing was changed.</exception>
    /// <exception cref="IOException">It failed otherwise; nothing was written.</exception>
    public async ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken)
    {
        var change = Encode(EntityChange.Put(document, code));
        return await WriteAsync([change], cancellationToken) ? change.Row!.Revision : null;
    }

    /// <inheritdoc/>
    /// <exception cref="StoreOverloadedException">Too many writes wait.</exception>
    /// <exception cref="StoreFullException">The disk has no room; nothing was changed.</exception>
    /// <exception cref="IOException">It failed otherwise; nothing was deleted.</exception>
    public ValueTask<bool> DeleteAsync(string documentId, string revision, CancellationToken cancellationToken) =>
        WriteAsync([new EntityRowChange(documentId, revision, Row: null, Code: null)], cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="StoreOverloadedException">Too many writes wait.</exception>
    /// <exception cref="StoreFullException">The disk has no room; nothing was changed.</exception>
    /// <exception cref="IOException">It failed otherwise; nothing was changed.</exception>
    public ValueTask<bool> WriteAsync(EntityUnit unit, CancellationToken cancellationToken) => WriteAsync([.. unit.Changes.Select(Encode)], cancellationToken);

    public async ValueTask<IReadOnlyList<ListedEntity>> ListAsync(EntityQuery query, CancellationToken cancellationToken)
    {
        StoreMetrics.ViewQuery();
        var begun = _clock.GetTimestamp();
        var found = await ReadAsync(reader => reader.List(query), cancellationToken);
        StoreMetrics.ViewQueried(_clock.GetElapsedTime(begun));
        return found;
    }

    /// <inheritdoc/>
    /// <remarks>A document that cannot be decoded is left out with a warning, as OpenWhisk leaves it out.</remarks>
    public async ValueTask<IReadOnlyList<EntityDocument>> GetSummariesAsync(IReadOnlyList<ListedEntity> page, CancellationToken cancellationToken) =>
        await ReadAsync(reader => GetSummaries(reader, page), cancellationToken);

    public ValueTask<int> CountAsync(EntityQuery query, CancellationToken cancellationToken)
    {
        StoreMetrics.ViewQuery();
        return ReadAsync(reader => reader.Count(query), cancellationToken);
    }

    public ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken)
    {
        StoreMetrics.AttachmentGet();
        return ReadAsync(reader => reader.GetAttachment(documentId, attachment), cancellationToken);
    }

    public async ValueTask<MappedBuffer?> ReadCodeAsync(string documentId, string attachment, ByteLease lease, CancellationToken cancellationToken)
    {
        StoreMetrics.AttachmentGet();
        if (await ReadAsync(reader => reader.GetAttachmentLength(documentId, attachment), cancellationToken) is not { } length)
        {
            return null;
        }

        return lease.TryHold(lease.Bytes + length)
            ? await ReadAsync(reader => reader.ReadAttachment(documentId, attachment, length), cancellationToken)
            : throw new StoreOverloadedException($"The answers under way leave no room for the {length} bytes of the code of '{documentId}'.");
    }

    /// <summary>Waits for reads under way, writes all waiting writes, then closes.</summary>
    public async ValueTask DisposeAsync()
    {
        for (var i = 0; i < _readerCount; i++)
        {
            (await _readers.Reader.ReadAsync()).Dispose();
        }

        await _writer.DisposeAsync();
    }

    private async ValueTask<bool> WriteAsync(EntityRowChange[] changes, CancellationToken cancellationToken)
    {
        if (changes.Length == 0)
        {
            return true;
        }

        var begun = _clock.GetTimestamp();
        foreach (var change in changes)
        {
            StoreMetrics.DocumentWrite(change.Row is null, change.Code is not null);
        }

        var written = await _writer.WriteAsync(new EntityWrite(changes), cancellationToken);
        var took = _clock.GetElapsedTime(begun);
        foreach (var change in changes)
        {
            StoreMetrics.DocumentWritten(change.Row is null, took);
        }

        return written;
    }

    private async ValueTask<T> ReadAsync<T>(Func<EntityReader, T> read, CancellationToken cancellationToken)
    {
        var reader = await _readers.Reader.ReadAsync(cancellationToken);
        try
        {
            return await Task.Run(() => read(reader), CancellationToken.None);
        }
        finally
        {
            _readers.Writer.TryWrite(reader);
        }
    }

    private List<EntityDocument> GetSummaries(EntityReader reader, IReadOnlyList<ListedEntity> page)
    {
        var documents = new List<EntityDocument>(page.Count);
        foreach (var listed in page)
        {
            try
            {
                if (reader.Read(listed.DocumentId, DecodeSummary) is { } document)
                {
                    documents.Add(document);
                }
            }
            catch (CorruptEntityException exception)
            {
                LogLeftOut(exception, listed.DocumentId);
            }
        }

        return documents;
    }

    private static EntityRowChange Encode(EntityChange change)
    {
        if (change.Document is not { } document)
        {
            return new EntityRowChange(change.DocumentId, change.ExpectedRevision, Row: null, Code: null);
        }

        var buffer = new ArrayBufferWriter<byte>(1024);
        DocumentCodec.Write(document, buffer);
        var revision = EntityRevision.Next(document.Revision, buffer.WrittenSpan, change.Code.GetValueOrDefault().Span);
        var row = new EntityRow(
            (int)document.Kind,
            document.Name.Namespace,
            document.Name.Package,
            document.Name.Name,
            document.UpdatedMs,
            document is PackageDocument { Publish: true, Binding: null },
            (document as ActionDocument)?.Exec.CodeAttachment,
            revision,
            buffer.WrittenSpan.ToArray());
        return new EntityRowChange(change.DocumentId, change.ExpectedRevision, row, ArrayOf(change.Code));
    }

    /// <summary>Code that fills a whole array is handed over without a copy, since no part of the server changes it; other code is copied.</summary>
    private static byte[]? ArrayOf(ReadOnlyMemory<byte>? code) =>
        code is not { } bytes ? null
        : MemoryMarshal.TryGetArray(bytes, out var whole) && whole.Count == whole.Array!.Length ? whole.Array
        : bytes.ToArray();

    private static EntityDocument Decode(string documentId, string revision, byte[] body) => Decode(documentId, revision, body, DocumentCodec.Read);

    private static EntityDocument DecodeSummary(string documentId, string revision, ReadOnlySpan<byte> body) =>
        Decode(documentId, revision, body, DocumentCodec.ReadSummary);

    private static EntityDocument Decode(
        string documentId, string revision, ReadOnlySpan<byte> body, Func<string, string, ReadOnlySpan<byte>, EntityDocument?> read)
    {
        try
        {
            return read(documentId, revision, body) ?? throw new CorruptEntityException(documentId);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException)
        {
            throw new CorruptEntityException(documentId, exception);
        }
    }

    [LoggerMessage(EventId = 4002, Level = LogLevel.Warning, Message = "The stored document {DocumentId} cannot be decoded and is left out of a list")]
    private partial void LogLeftOut(Exception exception, string documentId);
}
