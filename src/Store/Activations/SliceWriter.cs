using System.Runtime.InteropServices;
using System.Text;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Frusta.Store.Activations;

/// <summary>Writes the index of one slice in batches. Used by one thread at a time.</summary>
/// <remarks>
/// The statements for rows call SQLite's own functions: the ADO layer makes an object of each parameter, and nine objects
/// for each row cost as much as the insertion.
/// </remarks>
internal sealed class SliceWriter : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly sqlite3 _database;
    private readonly sqlite3_stmt _insert;
    private readonly sqlite3_stmt _insertNotKept;
    private readonly Dictionary<string, long> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> _namesBySpan;
    private readonly List<Row> _batch = [];
    private bool _inTransaction;

    /// <param name="path">The index file; it is made when missing.</param>
    /// <param name="firstSegment">First segment of the slice, when the index is new.</param>
    /// <exception cref="SqliteException">The file is damaged.</exception>
    public SliceWriter(string path, long firstSegment)
    {
        _connection = SqliteFile.OpenWriter(path, SliceSchema.Steps, "NORMAL");
        _database = _connection.Handle!;
        _insert = Prepare(SliceSchema.Insert);
        _insertNotKept = Prepare(SliceSchema.InsertNotKept);
        _namesBySpan = _names.GetAlternateLookup<ReadOnlySpan<char>>();
        using var names = new Statement(_connection, SliceSchema.Names, 0);
        using var rows = names.Read();
        while (rows.Read())
        {
            _names.Add(rows.GetString(1), rows.GetInt64(0));
        }

        State = SliceReader.ReadState(_connection) ?? SliceState.Empty(firstSegment);
    }

    /// <summary>The state of the index, including the rows since the last commit.</summary>
    public SliceState State { get; private set; }

    /// <summary>Adds a row to the batch.</summary>
    public void Add(in RecordHead head, byte type, LogPosition position)
    {
        Begin();
        Span<byte> id = stackalloc byte[16];
        head.Id.WriteBytes(id);
        if (type == RecordHead.NotKept)
        {
            raw.sqlite3_bind_blob(_insertNotKept, 1, id);
            Step(_insertNotKept);
        }
        else
        {
            _batch.Add(new Row(KeyOf(head.Namespace), head.StartMs, head.Id, KeyOf(head.FilterName), head.EndMs, (long)head.Status, position));
        }

        State = State.With(head.Id, head.StartMs, position);
    }

    /// <summary>Commits the batch together with the state, which says how far the index goes.</summary>
    public void Commit()
    {
        if (!_inTransaction)
        {
            return;
        }

        InsertBatch();
        WriteState();
        SqliteFile.Execute(_connection, "COMMIT");
        _inTransaction = false;
    }

    /// <summary>Ends the slice: no row is added any more, and SQLite's write-ahead log is moved into the file.</summary>
    public void Seal()
    {
        Begin();
        State = State with { IsSealed = true };
        Commit();
        SqliteFile.Execute(_connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// <summary>Closes the index; rows that were not committed are undone.</summary>
    public void Dispose()
    {
        _insert.Dispose();
        _insertNotKept.Dispose();
        _connection.Dispose();
    }

    /// <summary>Inserts the batch in the order of the table, so that neighbours go into the same page.</summary>
    private void InsertBatch()
    {
        _batch.Sort(Row.InTableOrder);
        Span<byte> id = stackalloc byte[16];
        foreach (ref readonly var row in CollectionsMarshal.AsSpan(_batch))
        {
            row.Id.WriteBytes(id);
            raw.sqlite3_bind_int64(_insert, 1, row.Namespace);
            raw.sqlite3_bind_int64(_insert, 2, row.StartMs);
            raw.sqlite3_bind_blob(_insert, 3, id);
            raw.sqlite3_bind_int64(_insert, 4, row.Name);
            raw.sqlite3_bind_int64(_insert, 5, row.EndMs);
            raw.sqlite3_bind_int64(_insert, 6, row.Status);
            raw.sqlite3_bind_int64(_insert, 7, row.Position.Segment);
            raw.sqlite3_bind_int64(_insert, 8, row.Position.Offset);
            raw.sqlite3_bind_int64(_insert, 9, row.Position.Length);
            Step(_insert);
        }

        _batch.Clear();
    }

    private void Begin()
    {
        if (!_inTransaction)
        {
            SqliteFile.Execute(_connection, "BEGIN IMMEDIATE");
            _inTransaction = true;
        }
    }

    private long KeyOf(ReadOnlySpan<byte> name)
    {
        Span<char> text = name.Length <= 1024 ? stackalloc char[name.Length] : new char[name.Length];
        text = text[..Encoding.UTF8.GetChars(name, text)];
        if (_namesBySpan.TryGetValue(text, out var key))
        {
            return key;
        }

        key = _names.Count + 1;
        var added = text.ToString();
        using var statement = new Statement(_connection, SliceSchema.InsertName, 2);
        statement.Bind(1, key).Bind(2, added).Run();
        _names.Add(added, key);
        return key;
    }

    private void WriteState()
    {
        var state = State;
        using var statement = new Statement(_connection, SliceSchema.WriteState, 11);
        statement.Bind(1, state.FirstSegment).Bind(2, state.StoredUpTo.Segment).Bind(3, state.StoredUpTo.Offset)
            .Bind(4, state.StoredUpTo.Length).Bind(5, state.IsSealed).Bind(6, state.Count).Bind(7, state.LeastStartMs)
            .Bind(8, state.GreatestStartMs).Bind(9, state.LeastCreatedMs).Bind(10, state.GreatestCreatedMs)
            .Bind(11, state.HasOtherIds).Run();
    }

    private sqlite3_stmt Prepare(string text)
    {
        SqliteException.ThrowExceptionForRC(raw.sqlite3_prepare_v2(_database, text, out var statement), _database);
        return statement;
    }

    private void Step(sqlite3_stmt statement)
    {
        var result = raw.sqlite3_step(statement);
        raw.sqlite3_reset(statement);
        if (result != raw.SQLITE_DONE)
        {
            SqliteException.ThrowExceptionForRC(result, _database);
        }
    }

    private readonly record struct Row(
        long Namespace, long StartMs, ActivationId Id, long Name, long EndMs, long Status, LogPosition Position)
    {
        public static int InTableOrder(Row a, Row b)
        {
            var order = a.Namespace.CompareTo(b.Namespace);
            order = order != 0 ? order : a.StartMs.CompareTo(b.StartMs);
            order = order != 0 ? order : a.Id.High.CompareTo(b.Id.High);
            return order != 0 ? order : a.Id.Low.CompareTo(b.Id.Low);
        }
    }
}
