using System.Globalization;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Frusta.Store.Sqlite;

/// <summary>Opens database files as this room uses them: with a write-ahead log, without a pool of connections, and with the schema's version checked.</summary>
internal static class SqliteFile
{
    /// <summary>Opens the one connection that writes, and brings a file that is empty or of an older program to the schema of this one.</summary>
    /// <param name="path">The file; its folder is made when missing.</param>
    /// <param name="steps">Statements that make the schema of each version, from 1, out of the one before.</param>
    /// <param name="synchronous"><c>FULL</c> where a commit must survive a power cut, <c>NORMAL</c> where the content can be rebuilt.</param>
    /// <exception cref="StoreFormatException">The file was written by a newer program.</exception>
    public static SqliteConnection OpenWriter(string path, IReadOnlyList<string> steps, string synchronous)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var connection = Open(path, SqliteOpenMode.ReadWriteCreate);
        try
        {
            Execute(connection, $"PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA journal_size_limit=67108864; PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-65536;");
            for (var version = CheckVersion(connection, path, steps.Count); version < steps.Count; version++)
            {
                Execute(connection, $"BEGIN IMMEDIATE; {steps[version]} PRAGMA user_version={version + 1}; COMMIT;");
            }

            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Opens a connection that only reads; it sees each commit of the writer from its next statement on.</summary>
    /// <exception cref="SqliteException">There is no such file, or it is damaged.</exception>
    /// <exception cref="StoreFormatException">The file was written by a newer program.</exception>
    public static SqliteConnection OpenReader(string path, IReadOnlyList<string> steps)
    {
        var connection = Open(path, SqliteOpenMode.ReadWrite);
        try
        {
            Execute(connection, "PRAGMA query_only=1;");
            CheckVersion(connection, path, steps.Count);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>True when the content of the file is damaged; false for a failure of the disk or of a lock.</summary>
    public static bool IsDamage(SqliteException exception) => exception.SqliteErrorCode is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB;

    /// <summary>True when the disk is full or refused a write.</summary>
    public static bool IsOutOfRoom(SqliteException exception) =>
        exception.SqliteErrorCode is raw.SQLITE_FULL
        || exception.SqliteExtendedErrorCode is raw.SQLITE_IOERR_WRITE or raw.SQLITE_IOERR_FSYNC or raw.SQLITE_IOERR_TRUNCATE or raw.SQLITE_IOERR_SHMSIZE;

    /// <summary>Deletes a database with the files that SQLite keeps beside it.</summary>
    public static void Delete(string path)
    {
        foreach (var suffix in (ReadOnlySpan<string>)["", "-wal", "-shm"])
        {
            File.Delete(path + suffix);
        }
    }

    public static void Execute(SqliteConnection connection, string statements)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Only constant texts of this room come here; what clients send is always a parameter.
        command.CommandText = statements;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    public static object? Scalar(SqliteConnection connection, string statement)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Only constant texts of this room come here; what clients send is always a parameter.
        command.CommandText = statement;
#pragma warning restore CA2100
        return command.ExecuteScalar();
    }

    private static int CheckVersion(SqliteConnection connection, string path, int version)
    {
        var found = Convert.ToInt32(Scalar(connection, "PRAGMA user_version;"), CultureInfo.InvariantCulture);
        return found <= version ? found : throw new StoreFormatException(
            $"'{path}' has schema version {found}, but this program knows versions up to {version}. Start the program that wrote it, or put back a copy from before.");
    }

    private static SqliteConnection Open(string path, SqliteOpenMode mode)
    {
        var text = new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false }.ToString();
        var connection = new SqliteConnection(text);
        connection.Open();
        return connection;
    }
}
