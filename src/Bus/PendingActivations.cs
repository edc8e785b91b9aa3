using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Microsoft.Extensions.Logging;

namespace Frusta.Bus;

/// <summary>
/// The activations that are pending, from the bus taking them in to their records: it keeps them within the bounds, and writes their entries in the log.
/// <see cref="EmbeddedBus"/> decides how an activation comes here and how it gets to the invoker.
/// </summary>
internal sealed partial class PendingActivations(
    AcceptedLog log, IFinishedActivations finished, TimeProvider clock, BusOptions options, ILogger logger)
{
    private readonly PendingBounds _bounds = new(options);
    private readonly PendingTable _table = new();
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isClosed;
    private long _keptAhead;
    private long _acceptedCount;
    private long _finishedCount;
    private long _notStoredCount;
    private long _recoveredCount;
    private long _refusedCount;

    internal PendingTable Table => _table;

    internal long Count => _bounds.Items;

    internal BusCounts Snapshot() => new(
        Interlocked.Read(ref _acceptedCount),
        Interlocked.Read(ref _finishedCount),
        Interlocked.Read(ref _notStoredCount),
        _bounds.Items,
        _bounds.Bytes,
        Interlocked.Read(ref _recoveredCount),
        Interlocked.Read(ref _refusedCount));

    /// <summary>Takes an activation in, unless a bound is reached. Until it is delivered it can be withdrawn.</summary>
    internal SendOutcome TakeIn(OutgoingActivation activation, out PendingActivation? pending)
    {
        pending = null;
        var message = activation.Message;
        var size = message.SizeBytes;
        if (size > options.MaxMessageBytes)
        {
            return SendOutcome.TooLarge;
        }

        if (Volatile.Read(ref _isClosed) || !log.Log.Accepts || !finished.Healthy)
        {
            return SendOutcome.Full;
        }

        var outcome = _bounds.Enter(message.User.NamespaceUuid, 1, size);
        if (outcome != SendOutcome.Sent)
        {
            return outcome;
        }

        pending = new PendingActivation(this, activation);
        if (!_table.TryAdd(pending))
        {
            _bounds.Leave(message.User.NamespaceUuid, 1, size);
            throw new InvalidOperationException($"The activation {message.Id} is pending already.");
        }

        Interlocked.Increment(ref _acceptedCount);
        KeepRoomAhead();
        return SendOutcome.Sent;
    }

    /// <summary>Takes over an activation of an earlier process, even beyond the bounds; null when its id is pending already.</summary>
    internal PendingActivation? TakeInAgain(ActivationMessage message, int retries, int earlierStarts, long acceptedSegment)
    {
        var pending = new PendingActivation(this, new OutgoingActivation(message, Retries: retries)) { AcceptedSegment = acceptedSegment, EarlierStarts = earlierStarts };
        log.Hold(acceptedSegment);
        if (!_table.TryAdd(pending))
        {
            log.Drop(acceptedSegment);
            return null;
        }

        _bounds.Enter(pending.NamespaceUuid, 1, pending.SizeBytes, force: true);
        Interlocked.Increment(ref _acceptedCount);
        Interlocked.Increment(ref _recoveredCount);
        return pending;
    }

    /// <summary>Counts an activation of an earlier process that got its record at the start.</summary>
    internal void RecordedAtStart()
    {
        Interlocked.Increment(ref _acceptedCount);
        Interlocked.Increment(ref _recoveredCount);
        Interlocked.Increment(ref _finishedCount);
    }

    /// <summary>Appends the accepted entry of an activation that is not delivered yet; false when the log refuses.</summary>
    internal bool TryAccept(PendingActivation pending, out LogPosition position)
    {
        using var entry = AcceptedEntry.OfAccepted(pending);
        if (!log.TryAppend(EntryType.Accepted, entry.Span, [], holds: 1, out position))
        {
            return false;
        }

        pending.AcceptedIn(position.Segment);
        return true;
    }

    /// <summary>
    /// Appends the accepted entry of a blocking call that was sent before; false when the log, or the journal its record, was refused. If the call has
    /// started, the same entry says so: with two entries a crash between them could run it twice. The position is empty when the call has ended already,
    /// and the log's end when another caller has appended the entry before.
    /// </summary>
    internal bool TryAcceptSent(PendingActivation pending, out LogPosition position)
    {
        position = default;
        if (!pending.TryHoldMessage())
        {
            return !pending.IsRefused;
        }

        using var entry = AcceptedEntry.OfAccepted(pending);
        pending.Message.Release();
        lock (pending)
        {
            if (pending.IsFinished)
            {
                return !pending.IsRefused;
            }

            if (pending.AcceptedSegment != 0)
            {
                position = log.Log.End;
                return true;
            }

            if (pending.StartedMs != 0)
            {
                AcceptedEntry.TakeRetry(entry.WrittenSpan);
            }

            if (!log.TryAppend(EntryType.Accepted, entry.Span, [], holds: 1, out position))
            {
                return false;
            }

            pending.AcceptedSegment = position.Segment;
            return true;
        }
    }

    /// <summary>See <see cref="IDelivery.TryStart"/>.</summary>
    internal bool TryStart(PendingActivation pending)
    {
        lock (pending)
        {
            pending.StartedMs = clock.GetUtcNow().ToUnixTimeMilliseconds();
            return pending.AcceptedSegment == 0 || TryAppendStarted(pending);
        }
    }

    /// <summary>See <see cref="IDelivery.Finished"/>.</summary>
    internal void Finished(PendingActivation pending, FinishedActivation record)
    {
        var isDone = !record.Store || TryRecord(record);
        long acceptedSegment, startedSegment;
        lock (pending)
        {
            pending.IsFinished = true;
            pending.IsRefused = !isDone;
            acceptedSegment = pending.AcceptedSegment;
            startedSegment = pending.StartedSegment;
        }

        if (isDone)
        {
            LogFinished(logger, pending.Id, record.Store);
            pending.Reply?.Complete(record);
            if (acceptedSegment != 0 && (record.Store || log.TryAppendDone(pending.Id)))
            {
                Drop(acceptedSegment, startedSegment);
            }

            Interlocked.Increment(ref record.Store ? ref _finishedCount : ref _notStoredCount);
            Leave(pending);
        }
        else
        {
            // Its entries stay in the log: at the next start it gets a record, if only one that says it was interrupted.
            pending.Reply?.Refuse();
            Interlocked.Increment(ref _refusedCount);
        }

        pending.Message.Release();
        record.Record.Dispose();
    }

    /// <summary>
    /// Gives the message of an activation that was not delivered back to its sender. Ends its accepted entry, if it has one, since no client holds its id.
    /// </summary>
    internal void Withdraw(PendingActivation pending)
    {
        long acceptedSegment;
        lock (pending)
        {
            pending.IsFinished = true;
            acceptedSegment = pending.AcceptedSegment;
        }

        if (acceptedSegment != 0 && log.TryAppendDone(pending.Id))
        {
            Drop(acceptedSegment, 0);
        }

        Interlocked.Decrement(ref _acceptedCount);
        Leave(pending);
    }

    /// <summary>Gives a record to the store; false when the store refuses it.</summary>
    internal bool TryRecord(FinishedActivation record)
    {
        try
        {
            // Append gives false for a second record of an id: the first one counts, and the store has it.
            finished.Append(record);
            return true;
        }
        catch (RecordRefusedException exception)
        {
            LogRecordRefused(logger, exception, record.Id.ToString());
            return false;
        }
    }

    /// <summary>Takes no more activations in.</summary>
    internal void Close()
    {
        Volatile.Write(ref _isClosed, true);
        if (_bounds.Items == 0)
        {
            _empty.TrySetResult();
        }
    }

    /// <summary>Completes with true once no activation is pending after <see cref="Close"/>, or with false when the time is over before.</summary>
    internal async ValueTask<bool> EmptiedAsync(TimeSpan deadline)
    {
        try
        {
            await _empty.Task.WaitAsync(deadline, clock);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private bool TryAppendStarted(PendingActivation pending)
    {
        if (!log.TryAppendStarted(pending, out var position))
        {
            LogStartRefused(logger, pending.Id.ToString());
            return false;
        }

        pending.StartedSegment = position.Segment;
        return true;
    }

    private void Leave(PendingActivation pending)
    {
        _table.Remove(pending.Id);
        _bounds.Leave(pending.NamespaceUuid, 1, pending.SizeBytes);
        if (Volatile.Read(ref _isClosed) && _bounds.Items == 0)
        {
            _empty.TrySetResult();
        }
    }

    private void Drop(long acceptedSegment, long startedSegment)
    {
        log.Drop(acceptedSegment);
        if (startedSegment != 0)
        {
            log.Drop(startedSegment);
        }
    }

    /// <summary>Has the log make room ready for all pending messages: each blocking call may have to be written when its wait ends.</summary>
    private void KeepRoomAhead()
    {
        var segments = _bounds.Bytes / options.SegmentBytes;
        if (Interlocked.Exchange(ref _keptAhead, segments) != segments)
        {
            log.Log.KeepAhead((segments + 1) * options.SegmentBytes);
        }
    }

    [LoggerMessage(3005, LogLevel.Debug, "Activation {Id}: ended, and its record is in the journal: {IsStored}")]
    private static partial void LogFinished(ILogger logger, ActivationId id, bool isStored);

    [LoggerMessage(3002, LogLevel.Error,
        "The start of activation {Id} could not be written to the log of accepted activations. It is not run, since after a crash it could run twice; its record says that it was interrupted.")]
    private static partial void LogStartRefused(ILogger logger, string id);

    [LoggerMessage(3003, LogLevel.Error,
        "The record of activation {Id} could not be written to the journal of records, and a client that waits for it is answered with an error.")]
    private static partial void LogRecordRefused(ILogger logger, Exception exception, string id);
}
