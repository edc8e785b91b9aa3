using System.Diagnostics;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using SQLitePCL;

namespace Frusta.Store.Entities;

/// <summary>The one writer of the entity store: takes waiting writes in groups, commits each group once, and answers its writes after the commit.</summary>
/// <remarks>
/// Long code is committed in pieces before its document (<see cref="CodePiece"/>), with other writes between them.
/// Attachments that a write replaced are deleted with a later group, without an fsync of their own: see <see cref="ReplacedCode"/>. Attachments and
/// pieces that a crash leaves without a document are deleted at the start.
/// </remarks>
internal sealed partial class EntityWriter : IAsyncDisposable
{
    private readonly ILogger _logger;
    private readonly SqliteConnection _connection;
    private readonly WaitingWrites _waiting;
    private readonly Statement _insert;
    private readonly Statement _update;
    private readonly Statement _delete;
    private readonly Statement _stored;
    private readonly Statement _isNameUsed;
    private readonly Statement _addPiece;
    private readonly Statement _attach;
    private readonly Statement _attached;
    private readonly Statement _detach;
    private readonly Statement _detachPieces;
    private readonly ReplacedCode _replaced;
    private readonly Task _running;
    private bool _isOutOfRoom;

    public EntityWriter(SqliteConnection connection, EntityStoreOptions options, TimeProvider clock, ILogger logger)
    {
        _connection = connection;
        _logger = logger;
        _waiting = new WaitingWrites(options);
        _insert = new Statement(connection, EntitySchema.Insert, 10);
        _update = new Statement(connection, EntitySchema.Update, 11);
        _delete = new Statement(connection, EntitySchema.Delete, 2);
        _stored = new Statement(connection, EntitySchema.Stored, 1);
        _isNameUsed = new Statement(connection, EntitySchema.IsNameUsed, 2);
        _addPiece = new Statement(connection, EntitySchema.AddPiece, 4);
        _attach = new Statement(connection, EntitySchema.Attach, 4);
        _attached = new Statement(connection, EntitySchema.Attached, 2);
        _detach = new Statement(connection, EntitySchema.Detach, 2);
        _detachPieces = new Statement(connection, EntitySchema.DetachPieces, 2);
        _replaced = new ReplacedCode(options, clock);
        SqliteFile.Execute(connection, EntitySchema.Sweep);
        _running = Task.Run(RunAsync);
    }

    /// <summary>True after the commit, false on a conflict. The token ends the wait only.</summary>
    /// <exception cref="StoreOverloadedException">The queue is full, by number or by bytes.</exception>
    public Task<bool> WriteAsync(EntityWrite write, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _waiting.Add(write);
        return write.Done.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Writes all waiting writes, then closes.</summary>
    public async ValueTask DisposeAsync()
    {
        _waiting.Complete();
        await _running;
        foreach (var statement in (ReadOnlySpan<Statement>)[_insert, _update, _delete, _stored, _isNameUsed, _addPiece, _attach, _attached, _detach, _detachPieces])
        {
            statement.Dispose();
        }

        await _connection.DisposeAsync();
    }

    private async Task RunAsync()
    {
        var group = new List<EntityWrite>();
        while (await _waiting.NextAsync(group))
        {
            if (group is [{ Pieces.Count: > 0 } write] && CanBeAhead(write))
            {
                WriteAhead(write, group);
            }
            else
            {
                Write(group);
            }

            group.Clear();
        }
    }

    /// <summary>Writes a group whole, and answers.</summary>
    private void Write(List<EntityWrite> group)
    {
        var due = _replaced.Due();
        var isWritten = TryCommit(group, () =>
        {
            foreach (var write in group)
            {
                write.Applied = Apply(write);
            }

            foreach (var (documentId, attachment) in due)
            {
                _detach.Bind(1, documentId).Bind(2, attachment).Run();
                _detachPieces.Bind(1, documentId).Bind(2, attachment).Run();
            }
        });
        if (isWritten)
        {
            _replaced.Forget(due.Count);
            Answer(group);
        }
    }

    /// <summary>
    /// Whether pieces can be written before their document: they change nothing that can be read now, and the documents still have the expected revisions.
    /// </summary>
    private bool CanBeAhead(EntityWrite write)
    {
        foreach (var change in write.Changes)
        {
            var revision = _stored.Bind(1, change.DocumentId).Scalar() as string ?? "";
            var isNameUsed = !write.IsAhead && change.Code is not null && _isNameUsed.Bind(1, change.DocumentId).Bind(2, change.Row?.Attachment).Scalar() is not null;
            if (isNameUsed || !string.Equals(revision, change.ExpectedRevision, StringComparison.Ordinal))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Writes the next piece of a write; the rest of it is written after the other writes that wait now.</summary>
    private void WriteAhead(EntityWrite write, List<EntityWrite> group)
    {
        Debug.Assert(group.Count == 1 && ReferenceEquals(group[0], write), "A piece has a commit of its own.");
        if (TryCommit(group, () => Add(write.Pieces.Peek())))
        {
            write.Pieces.Dequeue();
            write.IsAhead = true;
            _waiting.GoOn(write);
        }
    }

    /// <summary>Runs statements as one transaction; when it fails, refuses the group and gives false.</summary>
    private bool TryCommit(List<EntityWrite> group, Action statements)
    {
        try
        {
            Undo();
            SqliteFile.Execute(_connection, "BEGIN IMMEDIATE");
            statements();
            SqliteFile.Execute(_connection, "COMMIT");
            return true;
        }
        catch (Exception exception)
        {
            // Any exception is caught: if it ended the writer, later writes would wait for ever.
            Refuse(group, exception);
            return false;
        }
    }

    private void Answer(List<EntityWrite> group)
    {
        if (_isOutOfRoom && group.Exists(write => write.Applied))
        {
            _isOutOfRoom = false;
            LogRoomAgain();
        }

        foreach (var write in group)
        {
            foreach (var (documentId, attachment, bytes) in write.Applied ? write.Replaced : [])
            {
                _replaced.Add(documentId, attachment, bytes);
            }

            Debug.Assert(!write.Applied || write.Pieces.Count == 0, "A document that names code is committed with all of it.");
            End(write);
            write.Done.TrySetResult(write.Applied);
        }
    }

    /// <summary>Gives back the room of a write that is over. If it failed after pieces of it were written, has these deleted.</summary>
    private void End(EntityWrite write)
    {
        foreach (var change in write is { IsAhead: true, Applied: false } ? write.Changes : [])
        {
            if (change is { Code.Length: > CodePiece.MostBytes, Row.Attachment: { } attachment })
            {
                _replaced.AddForsaken(change.DocumentId, attachment);
            }
        }

        _waiting.Written(write);
    }

    private void Refuse(List<EntityWrite> group, Exception exception)
    {
        var isOutOfRoom = exception is SqliteException failure && SqliteFile.IsOutOfRoom(failure);
        if (!isOutOfRoom)
        {
            LogGroupFailed(exception, group.Count);
        }
        else if (!_isOutOfRoom)
        {
            _isOutOfRoom = true;
            LogNoRoom(exception.Message);
        }

        try
        {
            Undo();
        }
        catch (Exception undoing)
        {
            LogNotUndone(undoing);
        }

        foreach (var write in group)
        {
            var document = write.Changes[0].DocumentId;
            write.Applied = false;
            End(write);
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
            return Apply(write, write.Changes[0]);
        }

        // Within the transaction of the group: a unit with a conflict undoes its own changes, and the other units of the group stay.
        SqliteFile.Execute(_connection, "SAVEPOINT unit");
        foreach (var change in write.Changes)
        {
            if (!Apply(write, change))
            {
                SqliteFile.Execute(_connection, "ROLLBACK TO unit; RELEASE unit");
                return false;
            }
        }

        SqliteFile.Execute(_connection, "RELEASE unit");
        return true;
    }

    private bool Apply(EntityWrite write, EntityRowChange change)
    {
        if (AttachmentOf(change) is var (attachment, bytes) && !string.Equals(attachment, change.Row?.Attachment, StringComparison.Ordinal))
        {
            write.Replaced.Add((change.DocumentId, attachment, bytes));
        }

        return change.Row is { } row ? Put(write, change, row) : _delete.Bind(1, change.DocumentId).Bind(2, change.ExpectedRevision).Run() > 0;
    }

    private (string Name, long Bytes)? AttachmentOf(EntityRowChange change)
    {
        using var rows = _attached.Bind(1, change.DocumentId).Bind(2, change.ExpectedRevision).Read();
        return rows.Read() ? (rows.GetString(0), rows.GetInt64(1)) : null;
    }

    private bool Put(EntityWrite write, EntityRowChange change, EntityRow row)
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
            while (write.Pieces.TryPeek(out var piece) && string.Equals(piece.DocumentId, change.DocumentId, StringComparison.Ordinal))
            {
                Add(write.Pieces.Dequeue());
            }

            var isInPieces = code.Length > CodePiece.MostBytes;
            _attach.Bind(1, change.DocumentId).Bind(2, attachment).Bind(3, isInPieces ? Array.Empty<byte>() : code).Bind(4, isInPieces ? code.Length : null).Run();
        }

        return true;
    }

    private void Add(CodePiece piece) =>
        _addPiece.Bind(1, piece.DocumentId).Bind(2, piece.Attachment).Bind(3, piece.Number).Bind(4, piece.Bytes.ToArray()).Run();

    [LoggerMessage(EventId = 4001, Level = LogLevel.Error, Message = "A group of {Count} entity writes failed and was rolled back")]
    private partial void LogGroupFailed(Exception exception, int count);

    [LoggerMessage(EventId = 4003, Level = LogLevel.Error, Message = "A group of entity writes that failed could not be rolled back; that is done before the next group")]
    private partial void LogNotUndone(Exception exception);

    [LoggerMessage(EventId = 4004, Level = LogLevel.Error,
        Message = "The disk has no room for entities: {Reason} Writes of actions, packages, triggers and rules are refused (503) until there is room; a line is logged when one succeeds")]
    private partial void LogNoRoom(string reason);

    [LoggerMessage(EventId = 4005, Level = LogLevel.Information, Message = "The disk has room for entities again")]
    private partial void LogRoomAgain();
}
