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
    private readonly Statement _pieces;
    private readonly Statement[] _lists;
    private readonly Statement[] _counts;

    public EntityReader(string path)
    {
        _connection = SqliteFile.OpenReader(path, EntitySchema.Steps);
        _get = new Statement(_connection, EntitySchema.Get, 1);
        _attachment = new Statement(_connection, EntitySchema.GetAttachment, 2);
        _pieces = new Statement(_connection, EntitySchema.GetPieces, 2);
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
        if (GetAttachmentLength(documentId, name) is not { } length)
        {
            return null;
        }

        var code = new byte[length];
        return TryReadAttachment(documentId, name, code) ? code : null;
    }

    /// <summary>The length of an attachment; null when there is none.</summary>
    public int? GetAttachmentLength(string documentId, string name) =>
        _attachment.Bind(1, documentId).Bind(2, name).Scalar() is long length ? checked((int)length) : null;

    /// <summary>Reads an attachment into memory that the caller disposes; null when there is none of exactly so many bytes.</summary>
    public MappedBuffer? ReadAttachment(string documentId, string name, int length)
    {
        var attachment = MappedBuffer.Reserve(Math.Max(length, 1));
        var isRead = false;
        try
        {
            isRead = TryReadAttachment(documentId, name, attachment.Extend(length));
            return isRead ? attachment : null;
        }
        finally
        {
            if (!isRead)
            {
                attachment.Dispose();
            }
        }
    }

    /// <summary>Lists ids, revisions and lengths; no body and no code is read.</summary>
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

    /// <summary>Decodes a document from SQLite's memory, without a copy; default when there is none.</summary>
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
        _pieces.Dispose();
        foreach (var statement in (ReadOnlySpan<Statement>)[.. _lists, .. _counts])
        {
            statement.Dispose();
        }

        _connection.Dispose();
    }

    /// <summary>Fills the room with an attachment of exactly that length; false when there is none, or when it was deleted meanwhile.</summary>
    private bool TryReadAttachment(string documentId, string name, Span<byte> room)
    {
        using (var rows = _attachment.Bind(1, documentId).Bind(2, name).Read())
        {
            if (!rows.Read() || rows.GetInt64(0) != room.Length)
            {
                return false;
            }

            if (!rows.GetBoolean(1))
            {
                raw.sqlite3_column_blob(rows.Handle, 2).CopyTo(room);
                return true;
            }
        }

        using var pieces = _pieces.Bind(1, documentId).Bind(2, name).Read();
        while (room.Length > 0 && pieces.Read())
        {
            var piece = raw.sqlite3_column_blob(pieces.Handle, 0);
            piece = piece[..Math.Min(piece.Length, room.Length)];
            piece.CopyTo(room);
            room = room[piece.Length..];
        }

        return room.IsEmpty;
    }

    private static Statement Bind(Statement[] statements, EntityQuery query)
    {
        var statement = query.PublishedOnly && query.Kind == EntityKind.Package ? statements[2]
            : query.Package is null ? statements[0]
            : statements[1];
        return statement.Bind(1, (int)query.Kind).Bind(2, query.Namespace).Bind(3, query.Package);
    }
}
