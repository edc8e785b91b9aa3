using System.Globalization;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;

namespace Frusta.Store.Activations;

/// <summary>One connection to the index of one slice, with its prepared statements. Used by one thread at a time.</summary>
internal sealed class SliceReader : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly Statement _begin;
    private readonly Statement _end;
    private readonly Statement _key;
    private readonly Statement _storedUpTo;
    private readonly Statement _get;
    private readonly Statement _contains;
    private readonly Statement _list;
    private readonly Statement _listName;
    private readonly Statement _count;
    private readonly Statement _countName;

    public SliceReader(string path)
    {
        _connection = SqliteFile.OpenReader(path, SliceSchema.Steps);
        _begin = new Statement(_connection, "BEGIN", 0);
        _end = new Statement(_connection, "COMMIT", 0);
        _key = new Statement(_connection, SliceSchema.Key, 1);
        _storedUpTo = new Statement(_connection, SliceSchema.StoredUpTo, 0);
        _get = new Statement(_connection, SliceSchema.Get, 1);
        _contains = new Statement(_connection, SliceSchema.Contains, 1);
        _list = new Statement(_connection, SliceSchema.List, 5);
        _listName = new Statement(_connection, SliceSchema.ListName, 5);
        _count = new Statement(_connection, SliceSchema.Count, 4);
        _countName = new Statement(_connection, SliceSchema.CountName, 4);
    }

    /// <summary>Reads the state in an index file; null when the file is damaged or has no commit yet.</summary>
    /// <exception cref="StoreFormatException">The file was written by a newer program.</exception>
    public static SliceState? TryReadState(string path)
    {
        try
        {
            using var connection = SqliteFile.OpenReader(path, SliceSchema.Steps);
            return ReadState(connection);
        }
        catch (SqliteException)
        {
            return null;
        }
    }

    /// <summary>Reads the state in an index; null in a new one.</summary>
    public static SliceState? ReadState(SqliteConnection connection)
    {
        using var statement = new Statement(connection, SliceSchema.ReadState, 0);
        using var rows = statement.Read();
        return !rows.Read() ? null : new SliceState(
            rows.GetInt64(0),
            new LogPosition(rows.GetInt64(1), rows.GetInt32(2), rows.GetInt32(3)),
            rows.GetBoolean(4),
            rows.GetInt64(5),
            rows.GetInt64(6),
            rows.GetInt64(7),
            rows.GetInt64(8),
            rows.GetInt64(9),
            rows.GetBoolean(10));
    }

    /// <summary>Finds the position of a record, and the namespace that it belongs to; null when there is none.</summary>
    public (string Namespace, LogPosition Position)? Get(ActivationId id)
    {
        using var rows = _get.Bind(1, Bytes(id)).Read();
        return rows.Read() ? (rows.GetString(0), new LogPosition(rows.GetInt64(1), rows.GetInt32(2), rows.GetInt32(3))) : null;
    }

    /// <summary>True when there is a record of this id, or the activation ended and its record is not kept.</summary>
    public bool Contains(ActivationId id) => Convert.ToInt64(_contains.Bind(1, Bytes(id)).Scalar(), CultureInfo.InvariantCulture) != 0;

    /// <summary>Adds the first rows of the query, newest first; gives the position up to which the index reached when they were read.</summary>
    public LogPosition List(ActivationQuery query, int rowLimit, List<FoundActivation> found)
    {
        _begin.Run();
        try
        {
            var storedUpTo = StoredUpTo();
            if (Bind(query, _list, _listName)?.Bind(5, rowLimit) is { } statement)
            {
                using var rows = statement.Read();
                Span<byte> id = stackalloc byte[16];
                while (rows.Read())
                {
                    rows.GetFieldValue<byte[]>(1).CopyTo(id);
                    found.Add(new FoundActivation(
                        rows.GetInt64(0), ActivationId.FromBytes(id), new LogPosition(rows.GetInt64(2), rows.GetInt32(3), rows.GetInt32(4))));
                }
            }

            return storedUpTo;
        }
        finally
        {
            _end.Run();
        }
    }

    /// <summary>The number of rows of the query, and the position up to which the index reached when they were counted.</summary>
    public (LogPosition StoredUpTo, long Count) Count(ActivationQuery query)
    {
        _begin.Run();
        try
        {
            var storedUpTo = StoredUpTo();
            var counted = Bind(query, _count, _countName)?.Scalar();
            return (storedUpTo, Convert.ToInt64(counted ?? 0L, CultureInfo.InvariantCulture));
        }
        finally
        {
            _end.Run();
        }
    }

    public void Dispose()
    {
        foreach (var statement in (ReadOnlySpan<Statement>)[_begin, _end, _key, _storedUpTo, _get, _contains, _list, _listName, _count, _countName])
        {
            statement.Dispose();
        }

        _connection.Dispose();
    }

    private LogPosition StoredUpTo()
    {
        using var rows = _storedUpTo.Read();
        return rows.Read() ? new LogPosition(rows.GetInt64(0), rows.GetInt32(1), rows.GetInt32(2)) : default;
    }

    /// <summary>The statement for the query; null when the slice has never seen its namespace or name.</summary>
    private Statement? Bind(ActivationQuery query, Statement ofNamespace, Statement ofName)
    {
        if (KeyOf(query.Namespace) is not { } namespaceKey)
        {
            return null;
        }

        long? nameKey = null;
        if (query.FilterName is { } filterName && (nameKey = KeyOf(filterName)) is null)
        {
            return null;
        }

        return (nameKey is null ? ofNamespace : ofName).Bind(1, namespaceKey).Bind(2, nameKey)
            .Bind(3, query.SinceMs ?? long.MinValue).Bind(4, query.UptoMs ?? long.MaxValue);
    }

    private long? KeyOf(string name) => (long?)_key.Bind(1, name).Scalar();

    private static byte[] Bytes(ActivationId id)
    {
        var bytes = new byte[16];
        id.WriteBytes(bytes);
        return bytes;
    }
}

/// <summary>One row of a list, before its record is read.</summary>
internal readonly record struct FoundActivation(long StartMs, ActivationId Id, LogPosition Position)
{
    /// <summary>Newest first: start descending, then id descending.</summary>
    public static int NewestFirst(FoundActivation a, FoundActivation b)
    {
        var order = b.StartMs.CompareTo(a.StartMs);
        order = order != 0 ? order : b.Id.High.CompareTo(a.Id.High);
        return order != 0 ? order : b.Id.Low.CompareTo(a.Id.Low);
    }
}
