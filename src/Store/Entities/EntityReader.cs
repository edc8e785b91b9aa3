using System.Globalization;
using Frusta.Contracts.Entities;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;

namespace Frusta.Store.Entities;

/// <summary>One connection that reads, with its prepared statements; used by one thread at a time.</summary>
internal sealed class EntityReader : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly Statement _get;
    private readonly Statement _attachment;
    private readonly Statement[] _lists;
    private readonly Statement[] _counts;

    public EntityReader(string path)
    {
        _connection = SqliteFile.OpenReader(path, EntitySchema.Version);
        _get = new Statement(_connection, EntitySchema.Get, 1);
        _attachment = new Statement(_connection, EntitySchema.GetAttachment, 2);
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

    /// <summary>Bodies only: the code stands in another table and is not touched.</summary>
    public List<(string Id, string Revision, byte[] Body)> List(EntityQuery query)
    {
        var found = new List<(string, string, byte[])>();
        var statement = Bind(_lists, query).Bind(4, query.Limit).Bind(5, query.Skip);
        using var rows = statement.Read();
        while (rows.Read())
        {
            found.Add((rows.GetString(0), rows.GetString(1), rows.GetFieldValue<byte[]>(2)));
        }

        return found;
    }

    public int Count(EntityQuery query) => Convert.ToInt32(Bind(_counts, query).Scalar(), CultureInfo.InvariantCulture);

    public void Dispose()
    {
        _get.Dispose();
        _attachment.Dispose();
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
