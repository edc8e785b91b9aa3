using System.Threading.Channels;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using SQLitePCL;

namespace Frusta.Store.Entities;

/// <summary>The one writer of the entity store: takes what waits as a group, commits it once, and answers each after the commit.</summary>
/// <remarks>
/// Attachments that a write replaced go with the next group: after the commit, without an fsync of their own, and a
/// reader that still holds the old document has a moment to fetch its code. What a crash leaves is swept at the start.
/// </remarks>
internal sealed partial class EntityWriter : IAsyncDisposable
{
    private readonly EntityStoreOptions _options;
    private readonly ILogger _logger;
    private readonly SqliteConnection _connection;
    private readonly Channel<EntityWrite> _queue;
    private readonly Statement _insert;
    private readonly Statement _update;
    private readonly Statement _delete;
    private readonly Statement _attach;
    private readonly Statement _collect;
    private readonly List<(string DocumentId, string? Kept)> _replaced = [];
    private readonly Task _running;
    private long _queuedBytes;
    private bool _isOutOfRoom;

    public EntityWriter(SqliteConnection connection, EntityStoreOptions options, ILogger logger)
    {
        _connection = connection;
        _options = options;
        _logger = logger;
        _queue = Channel.CreateBounded<EntityWrite>(new BoundedChannelOptions(options.QueuedWrites) { SingleReader = true });
        _insert = new Statement(connection, EntitySchema.Insert, 10);
        _update = new Statement(connection, EntitySchema.Update, 11);
        _delete = new Statement(connection, EntitySchema.Delete, 2);
        _attach = new Statement(connection, EntitySchema.Attach, 3);
        _collect = new Statement(connection, EntitySchema.Collect, 2);
        SqliteFile.Execute(connection, EntitySchema.Sweep);
        _running = Task.Run(RunAsync);
    }

    /// <summary>True after the commit, false on a conflict. The token ends the wait only.</summary>
    /// <exception cref="StoreOverloadedException">The queue is full, by number or by bytes.</exception>
    public Task<bool> WriteAsync(EntityWrite write, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var bytes = Interlocked.Add(ref _queuedBytes, write.SizeBytes);
        if (bytes > _options.QueuedBytes || !_queue.Writer.TryWrite(write))
        {
            Interlocked.Add(ref _queuedBytes, -write.SizeBytes);
            throw new StoreOverloadedException(
                $"The entity store has {_queue.Reader.Count} writes of {bytes} bytes waiting (at most {_options.QueuedWrites} and {_options.QueuedBytes} bytes).");
        }

        return write.Done.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Writes what waits, then closes.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _running;
        foreach (var statement in (ReadOnlySpan<Statement>)[_insert, _update, _delete, _attach, _collect])
        {
            statement.Dispose();
        }

        await _connection.DisposeAsync();
    }

    private async Task RunAsync()
    {
        var group = new List<EntityWrite>(_options.GroupSize);
        while (await _queue.Reader.WaitToReadAsync())
        {
            while (group.Count < _options.GroupSize && _queue.Reader.TryRead(out var write))
            {
                Interlocked.Add(ref _queuedBytes, -write.SizeBytes);
                group.Add(write);
            }

            Commit(group);
            group.Clear();
        }
    }

    private void Commit(List<EntityWrite> group)
    {
        try
        {
            Undo();
            SqliteFile.Execute(_connection, "BEGIN IMMEDIATE");
            foreach (var (documentId, kept) in _replaced)
            {
                _collect.Bind(1, documentId).Bind(2, kept ?? "").Run();
            }

            foreach (var write in group)
            {
                write.Applied = Apply(write);
            }

            SqliteFile.Execute(_connection, "COMMIT");
        }
        catch (Exception exception)
        {
            // Whatever it was: the next ones must not wait for a writer that is gone.
            Refuse(group, exception);
            return;
        }

        if (_isOutOfRoom && group.Exists(write => write.Applied))
        {
            _isOutOfRoom = false;
            LogInformationRoomAgain();
        }

        _replaced.Clear();
        foreach (var write in group)
        {
            foreach (var change in write.Applied ? write.Changes : [])
            {
                if (change is { Row: { } row, ExpectedRevision.Length: > 0 })
                {
                    _replaced.Add((change.DocumentId, row.Attachment));
                }
            }

            write.Done.TrySetResult(write.Applied);
        }
    }

    private void Refuse(List<EntityWrite> group, Exception exception)
    {
        var isOutOfRoom = exception is SqliteException failure && SqliteFile.IsOutOfRoom(failure);
        if (!isOutOfRoom)
        {
            LogErrorGroupFailed(exception, group.Count);
        }
        else if (!_isOutOfRoom)
        {
            _isOutOfRoom = true;
            LogErrorNoRoom(exception.Message);
        }

        try
        {
            Undo();
        }
        catch (Exception undoing)
        {
            LogErrorNotUndone(undoing);
        }

        foreach (var write in group)
        {
            var document = write.Changes[0].DocumentId;
            write.Done.TrySetException(isOutOfRoom
                ? new StoreFullException($"The disk has no room for the document '{document}'.", exception)
                : new IOException($"The document '{document}' could not be written.", exception));
        }
    }

    /// <summary>Ends the transaction of a group that failed, unless SQLite has done so itself.</summary>
    private void Undo()
    {
        if (raw.sqlite3_get_autocommit(_connection.Handle) == 0)
        {
            SqliteFile.Execute(_connection, "ROLLBACK");
        }
    }

    /// <summary>Applies all changes of a unit, or none.</summary>
    private bool Apply(EntityWrite write)
    {
        if (write.Changes.Count == 1)
        {
            return Apply(write.Changes[0]);
        }

        // Within the transaction of the group: a unit that meets another writer takes back what it had changed, and the others stand.
        SqliteFile.Execute(_connection, "SAVEPOINT unit");
        foreach (var change in write.Changes)
        {
            if (!Apply(change))
            {
                SqliteFile.Execute(_connection, "ROLLBACK TO unit; RELEASE unit");
                return false;
            }
        }

        SqliteFile.Execute(_connection, "RELEASE unit");
        return true;
    }

    private bool Apply(EntityRowChange change) => change.Row is { } row ? Put(change, row) : Delete(change);

    private bool Put(EntityRowChange change, EntityRow row)
    {
        var statement = change.ExpectedRevision.Length == 0 ? _insert : _update.Bind(11, change.ExpectedRevision);
        statement.Bind(1, change.DocumentId).Bind(2, row.Kind).Bind(3, row.Namespace).Bind(4, row.Package).Bind(5, row.Name)
            .Bind(6, row.UpdatedMs).Bind(7, row.Public).Bind(8, row.Attachment).Bind(9, row.Revision).Bind(10, row.Body);
        if (statement.Run() == 0)
        {
            return false;
        }

        if (change.Code is { } code && row.Attachment is { } attachment)
        {
            _attach.Bind(1, change.DocumentId).Bind(2, attachment).Bind(3, code).Run();
        }

        return true;
    }

    private bool Delete(EntityRowChange change)
    {
        if (_delete.Bind(1, change.DocumentId).Bind(2, change.ExpectedRevision).Run() == 0)
        {
            return false;
        }

        _collect.Bind(1, change.DocumentId).Bind(2, "").Run();
        return true;
    }

    [LoggerMessage(EventId = 4001, Level = LogLevel.Error, Message = "A group of {Count} entity writes failed and was rolled back")]
    private partial void LogErrorGroupFailed(Exception exception, int count);

    [LoggerMessage(EventId = 4003, Level = LogLevel.Error, Message = "A group of entity writes that failed could not be undone; the next group undoes it first")]
    private partial void LogErrorNotUndone(Exception exception);

    [LoggerMessage(EventId = 4004, Level = LogLevel.Error, Message = "No room for entities: {Reason} Writes of them are refused; it is said when one succeeds")]
    private partial void LogErrorNoRoom(string reason);

    [LoggerMessage(EventId = 4005, Level = LogLevel.Information, Message = "There is room for entities again")]
    private partial void LogInformationRoomAgain();
}
