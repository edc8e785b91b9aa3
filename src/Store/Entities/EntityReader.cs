using System.Globalization;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Frusta.Store.Entities;

/// <summary>One connection that reads, with its prepared statements; used by one thread at a time.</summary>
internal sealed class EntityReader : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly Statement _get;
    private readonly Statement _attachment;
    private readonly Statement _attachmentLength;
    private readonly Statement[] _lists;
    private readonly Statement[] _counts;

    public EntityReader(string path)
    {
        _connection = SqliteFile.OpenReader(path, EntitySchema.Version);
        _get = new Statement(_connection, EntitySchema.Get, 1);
        _attachment = new Statement(_connection, EntitySchema.GetAttachment, 2);
        _attachmentLength = new Statement(_connection, EntitySchema.GetAttachmentLength, 2);
        _lists =
        [
            new Statement(_connection, EntitySchema.List, 5),
            new Statement(_connection, EntitySchema.ListPackage, 5),
            new Statement(_connection, EntitySchema.ListPublic, 5),
        ];
        _counts =
        [
            new Statement(_connection, EntitySchema.Count, 3),
            new Statement(_connection, EntitySchema.CountPackage, 3),
            new Statement(_connection, EntitySchema.CountPublic, 3),
        ];
    }

    public (string Revision, byte[] Body)? Get(string documentId)
    {
        using var rows = _get.Bind(1, documentId).Read();
        return rows.Read() ? (rows.GetString(0), rows.GetFieldValue<byte[]>(1)) : null;
    }

    public byte[]? GetAttachment(string documentId, string name)
    {
        using var rows = _attachment.Bind(1, documentId).Bind(2, name).Read();
        return rows.Read() ? rows.GetFieldValue<byte[]>(0) : null;
    }

    /// <summary>The length of an attachment; null when there is none.</summary>
    public int? GetAttachmentLength(string documentId, string name) =>
        _attachmentLength.Bind(1, documentId).Bind(2, name).Scalar() is long length ? checked((int)length) : null;

    /// <summary>An attachment in memory that leaves with it; null when there is none of at most so many bytes.</summary>
    public MappedBuffer? ReadAttachment(string documentId, string name, int maxBytes)
    {
        using var rows = _attachment.Bind(1, documentId).Bind(2, name).Read();
        if (!rows.Read() || raw.sqlite3_column_blob(rows.Handle, 0) is var body && body.Length > maxBytes)
        {
            return null;
        }

        var attachment = MappedBuffer.Reserve(Math.Max(body.Length, 1));
        attachment.Write(body);
        return attachment;
    }

    /// <summary>Lengths only: no body is read, and the code stands in another table.</summary>
    public List<ListedEntity> List(EntityQuery query)
    {
        var found = new List<ListedEntity>();
        var statement = Bind(_lists, query).Bind(4, query.Limit).Bind(5, query.Skip);
        using var rows = statement.Read();
        while (rows.Read())
        {
            found.Add(new ListedEntity(rows.GetString(0), rows.GetString(1), rows.GetInt32(2)));
        }

        return found;
    }

    /// <summary>Reads a document where SQLite has it, without a copy; default when there is none.</summary>
    public T? Read<T>(string documentId, Func<string, string, ReadOnlySpan<byte>, T?> decode)
    {
        using var rows = _get.Bind(1, documentId).Read();
        return rows.Read() ? decode(documentId, rows.GetString(0), raw.sqlite3_column_blob(rows.Handle, 1)) : default;
    }

    public int Count(EntityQuery query) => Convert.ToInt32(Bind(_counts, query).Scalar(), CultureInfo.InvariantCulture);

    public void Dispose()
    {
        _get.Dispose();
        _attachment.Dispose();
        _attachmentLength.Dispose();
        foreach (var statement in (ReadOnlySpan<Statement>)[.. _lists, .. _counts])
        {
            statement.Dispose();
        }

        _connection.Dispose();
    }

    private static Statement Bind(Statement[] statements, EntityQuery query)
    {
        var statement = query.PublishedOnly && query.Kind == EntityKind.Package ? statements[2]
            : query.Package is null ? statements[0]
            : statements[1];
        return statement.Bind(1, (int)query.Kind).Bind(2, query.Namespace).Bind(3, query.Package);
    }
}
