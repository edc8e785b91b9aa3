using System.Diagnostics;
using Frusta.Contracts.Buffers;
using Microsoft.Data.Sqlite;

namespace Frusta.Store.Benchmarks;

/// <summary>The other way: each record a row in SQLite, in batches, with the keys that the same lists need.</summary>
internal static class WholeRows
{
    private const int Batch = 1000;
    private const int Reads = 2000;

    public static void Run(Workload workload, string folder)
    {
        Console.WriteLine($"Whole rows in SQLite, batches of {Batch}, {workload.Records} records");
        Directory.CreateDirectory(folder);
        using var connection = new SqliteConnection($"Data Source={Path.Combine(folder, "rows.db")};Pooling=False");
        connection.Open();
        Execute(connection, """
            PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
            CREATE TABLE activations (id BLOB PRIMARY KEY, namespace TEXT, name TEXT, start INTEGER, body BLOB);
            CREATE INDEX by_namespace ON activations (namespace, start, id);
            CREATE INDEX by_name ON activations (namespace, name, start, id);
            """);
        Workload.Rate("make a record and insert it", workload.Records, () => Insert(workload, connection));
        Console.WriteLine(FormattableString.Invariant($"  on disk                                      {Workload.BytesOf(folder) / workload.Records,10:N0} bytes a record"));
        Read(workload, connection);
    }

    private static void Insert(Workload workload, SqliteConnection connection)
    {
        using var insert = connection.CreateCommand();
        insert.CommandText = "INSERT INTO activations VALUES ($id, $namespace, $name, $start, $body)";
        var parameters = ((string[])["$id", "$namespace", "$name", "$start", "$body"]).Select(name => insert.Parameters.AddWithValue(name, "")).ToArray();
        using var buffer = PooledBuffer.Rent();
        for (var i = 0; i < workload.Records;)
        {
            using var transaction = connection.BeginTransaction();
            insert.Transaction = transaction;
            for (var end = Math.Min(i + Batch, workload.Records); i < end; i++)
            {
                var finished = workload.Make(i, buffer);
                var id = new byte[16];
                finished.Id.WriteBytes(id);
                parameters[0].Value = id;
                parameters[1].Value = finished.Namespace;
                parameters[2].Value = finished.FilterName;
                parameters[3].Value = finished.StartMs;
                parameters[4].Value = finished.Record.Span.ToArray();
                insert.ExecuteNonQuery();
            }

            transaction.Commit();
        }
    }

    private static void Read(Workload workload, SqliteConnection connection)
    {
        var random = new Random(1);
        Time("get by id", Reads, connection, "SELECT body FROM activations WHERE id = $a", command =>
        {
            var id = new byte[16];
            workload.Ids[random.Next(workload.Records)].WriteBytes(id);
            command.Parameters["$a"].Value = id;
        });
        Time("list 30 of a namespace", Reads / 4, connection, "SELECT body FROM activations WHERE namespace = $a ORDER BY start DESC, id DESC LIMIT 30", command =>
            command.Parameters["$a"].Value = Workload.NamespaceOf(random.Next(Workload.Namespaces)));
        Time("list 30 of an action", Reads / 4, connection, "SELECT body FROM activations WHERE namespace = $a AND name = $b ORDER BY start DESC, id DESC LIMIT 30", command =>
        {
            var i = random.Next(Workload.Namespaces * Workload.Actions);
            command.Parameters["$a"].Value = Workload.NamespaceOf(i);
            command.Parameters["$b"].Value = Workload.ActionOf(i);
        });
    }

    private static void Time(string what, int count, SqliteConnection connection, string text, Action<SqliteCommand> bind)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constant texts of this file.
        command.CommandText = text;
#pragma warning restore CA2100
        command.Parameters.AddWithValue("$a", "");
        command.Parameters.AddWithValue("$b", "");
        var begun = Stopwatch.GetTimestamp();
        for (var i = 0; i < count; i++)
        {
            bind(command);
            using var rows = command.ExecuteReader();
            while (rows.Read())
            {
                _ = rows.GetFieldValue<byte[]>(0);
            }
        }

        Console.WriteLine(FormattableString.Invariant($"  {what,-44} {Stopwatch.GetElapsedTime(begun).TotalMicroseconds / count,10:N1} us"));
    }

    private static void Execute(SqliteConnection connection, string text)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constant texts of this file.
        command.CommandText = text;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }
}
