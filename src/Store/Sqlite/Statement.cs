using Microsoft.Data.Sqlite;

namespace Frusta.Store.Sqlite;

/// <summary>One prepared statement with positional parameters <c>?1, ?2, ...</c>, bound anew for each run.</summary>
internal sealed class Statement : IDisposable
{
    private readonly SqliteCommand _command;

    public Statement(SqliteConnection connection, string text, int parameters)
    {
        _command = connection.CreateCommand();
#pragma warning disable CA2100 // The texts are constants of this room.
        _command.CommandText = text;
#pragma warning restore CA2100
        for (var i = 1; i <= parameters; i++)
        {
            _command.Parameters.Add(new SqliteParameter { ParameterName = $"?{i}", Value = DBNull.Value });
        }

        _command.Prepare();
    }

    /// <summary>Sets a parameter, counted from 1; null becomes NULL.</summary>
    public Statement Bind(int parameter, object? value)
    {
        _command.Parameters[parameter - 1].Value = value ?? DBNull.Value;
        return this;
    }

    /// <summary>Runs the statement and returns the number of rows that it changed.</summary>
    public int Run() => _command.ExecuteNonQuery();

    public object? Scalar() => _command.ExecuteScalar();

    public SqliteDataReader Read() => _command.ExecuteReader();

    public void Dispose() => _command.Dispose();
}
