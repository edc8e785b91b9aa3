using Frusta.Contracts.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Journal;
using Microsoft.Extensions.Logging;

namespace Frusta.Bus;

/// <summary>The bus of one process: a call to the invoker, and a journal for what a client holds an id of.</summary>
/// <remarks>
/// A blocking call costs no entry here: nothing is promised until its record is written. A 202 is on disk before it is
/// answered, and is delivered after that, so that nothing runs whose acceptance could still be denied. From the first
/// *started* entry on it is not run again. Its entries are given up once its record is on disk.
/// </remarks>
public sealed partial class EmbeddedBus : IBus
{
    private readonly AcceptedLog _log;
    private readonly IFinishedActivations _finished;
    private readonly IActivationIntake _intake;
    private readonly TimeProvider _clock;
    private readonly BusOptions _options;
    private readonly ILogger _logger;
    private readonly PendingBounds _bounds;
    private readonly PendingTable _pending = new();
    private readonly Compaction _compaction;
    private readonly ParkedDeliveries _parked;
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isStopping;
    private long _keptAhead;
    private long _acceptedCount;
    private long _finishedCount;
    private long _notStoredCount;
    private long _recoveredCount;
    private long _refusedCount;

    /// <param name="acceptedLog">See <see cref="BusOptions.AcceptedLog"/>; the caller closes it after <see cref="StopAsync"/>.</param>
    /// <param name="finished">Where records go.</param>
    /// <param name="intake">The invoker.</param>
    /// <param name="clock">For ages and start times.</param>
    /// <param name="options">Bounds.</param>
    /// <param name="logger">For the operator.</param>
    public EmbeddedBus(
        SegmentedLog acceptedLog,
        IFinishedActivations finished,
        IActivationIntake intake,
        TimeProvider clock,
        BusOptions options,
        ILogger<EmbeddedBus> logger)
    {
        _log = new AcceptedLog(acceptedLog, finished);
        _finished = finished;
        _intake = intake;
        _clock = clock;
        _options = options;
        _logger = logger;
        _bounds = new PendingBounds(options);
        _compaction = new Compaction(_log, _pending, options);
        _parked = new ParkedDeliveries(intake, clock);
        BusMetrics.Observe(this);
    }

    /// <summary>What was counted since the start.</summary>
    public BusCounts Snapshot() => new(
        Interlocked.Read(ref _acceptedCount),
        Interlocked.Read(ref _finishedCount),
        Interlocked.Read(ref _notStoredCount),
        _bounds.Items,
        _bounds.Bytes,
        Interlocked.Read(ref _recoveredCount),
        Interlocked.Read(ref _refusedCount));

    /// <summary>
    /// Settles what an earlier process left. To be called once, after the activation store is open and before anything is
    /// sent. It may be interrupted at any point and is then simply done again.
    /// </summary>
    /// <exception cref="LogDamagedException">An entry is not readable; the message says what to do.</exception>
    public async ValueTask<RecoverySummary> RecoverAsync(CancellationToken cancellationToken)
    {
        var recovery = new BusRecovery(this, _log, _finished, _clock, TimeSpan.FromSeconds(_options.MaxAgeSeconds), _logger);
        var summary = await recovery.RunAsync(cancellationToken);
        await _log.ReleaseUnheldAsync();
        _compaction.Consider();
        if (summary != new RecoverySummary(0, 0, 0, 0, 0))
        {
            LogRecovered(_logger, summary.Done, summary.DeliveredAgain, summary.Interrupted, summary.TooOld, summary.TriggersRecorded);
        }

        return summary;
    }

    public ValueTask<SendOutcome> SendAsync(ActivationMessage message, bool acceptFirst, CancellationToken cancellationToken)
    {
        var outcome = Admit(message, out var pending);
        if (outcome != SendOutcome.Sent)
        {
            return new(outcome);
        }

        return acceptFirst ? AcceptThenDeliverAsync(pending!) : new(Deliver(pending!));
    }

    public async ValueTask<SendOutcome> AcceptSentAsync(ActivationMessage message, CancellationToken cancellationToken)
    {
        if (_pending.Find(message.Id) is { } pending)
        {
            using var entry = PooledBuffer.Rent(message.SizeBytes);
            AcceptedEntry.WriteAccepted(message, pending.Retries, entry);
            if (!TryAcceptSent(pending, entry, out var position))
            {
                return SendOutcome.Full;
            }

            if (position.Segment != 0)
            {
                return await IsSyncedAsync(position) ? SendOutcome.Sent : SendOutcome.Full;
            }
        }

        // It has its record already. The client is about to hold the id, so the record must be on disk too.
        return await AreRecordsSyncedAsync() ? SendOutcome.Sent : SendOutcome.Full;
    }

    public async ValueTask<SendOutcome> FireAsync(
        FinishedActivation triggerRecord, IReadOnlyList<ActivationMessage> messages, CancellationToken cancellationToken)
    {
        var deliveries = new List<PendingActivation>(messages.Count);
        for (var i = 0; i < messages.Count; i++)
        {
            var outcome = Admit(messages[i], out var pending);
            if (outcome != SendOutcome.Sent)
            {
                deliveries.ForEach(Withdraw);
                return outcome;
            }

            deliveries.Add(pending!);
        }

        LogPosition position;
        using (var entry = PooledBuffer.Rent(4096))
        {
            AcceptedEntry.WriteFire(triggerRecord, deliveries, entry);
            if (entry.Length > _options.MaxMessageBytes || !_log.TryAppend(EntryType.Fire, entry.Span, [], 1 + messages.Count, out position))
            {
                deliveries.ForEach(Withdraw);
                return entry.Length > _options.MaxMessageBytes ? SendOutcome.TooLarge : SendOutcome.Full;
            }
        }

        // Each pending activation holds the segment once, the trigger's record once until it is written.
        deliveries.ForEach(pending => NoteAccepted(pending, position.Segment));
        if (!await IsSyncedAsync(position))
        {
            deliveries.ForEach(Withdraw);
            return SendOutcome.Full;
        }

        if (!triggerRecord.Store || TryRecord(triggerRecord))
        {
            _log.Drop(position.Segment);
        }

        triggerRecord.Record.Dispose();
        deliveries.ForEach(_parked.Deliver);
        return SendOutcome.Sent;
    }

    /// <summary>
    /// Takes nothing more, waits until nothing is pending or the time is over, and brings everything to the disk. What was
    /// accepted and has not started stays in the log and runs after the next start.
    /// </summary>
    public async ValueTask StopAsync(TimeSpan deadline)
    {
        Volatile.Write(ref _isStopping, true);
        if (_bounds.Items == 0)
        {
            _empty.TrySetResult();
        }

        try
        {
            await _empty.Task.WaitAsync(deadline, _clock);
        }
        catch (TimeoutException)
        {
            LogLeft(_logger, _bounds.Items);
        }

        _parked.Stop();
        await AreRecordsSyncedAsync();
        await IsSyncedAsync(_log.Log.End);
        await _compaction.SettledAsync();
        await _log.SettledAsync();
    }

    internal bool TryStart(PendingActivation pending)
    {
        lock (pending)
        {
            pending.StartedMs = _clock.GetUtcNow().ToUnixTimeMilliseconds();
            return pending.AcceptedSegment == 0 || TryAppendStarted(pending);
        }
    }

    internal void Finished(PendingActivation pending, FinishedActivation finished)
    {
        var isDone = !finished.Store || TryRecord(finished);
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
            pending.Message.Reply?.Complete(finished);
            if (acceptedSegment != 0 && (finished.Store || _log.TryAppendDone(pending.Id)))
            {
                Drop(acceptedSegment, startedSegment);
            }

            Interlocked.Increment(ref finished.Store ? ref _finishedCount : ref _notStoredCount);
            Leave(pending);
        }
        else
        {
            // Its entries stay held: after the next start it gets a record, if only that of an interruption.
            pending.Message.Reply?.Refuse();
            Interlocked.Increment(ref _refusedCount);
        }

        pending.Message.Release();
        finished.Record.Dispose();
    }

    /// <summary>Takes over an activation of an earlier process, whatever the bounds say, and delivers it.</summary>
    internal bool DeliverAgain(ActivationMessage message, int retries, int earlierStarts, long acceptedSegment)
    {
        var pending = new PendingActivation(this, message, retries) { AcceptedSegment = acceptedSegment, EarlierStarts = earlierStarts };
        _log.Hold(acceptedSegment);
        if (!_pending.TryAdd(pending))
        {
            _log.Drop(acceptedSegment);
            return false;
        }

        _bounds.Enter(pending.NamespaceUuid, 1, pending.SizeBytes, force: true);
        Interlocked.Increment(ref _acceptedCount);
        Interlocked.Increment(ref _recoveredCount);
        _parked.Deliver(pending);
        return true;
    }

    /// <summary>Counts an activation of an earlier process that got its record at the start.</summary>
    internal void RecordedAtStart()
    {
        Interlocked.Increment(ref _acceptedCount);
        Interlocked.Increment(ref _recoveredCount);
        Interlocked.Increment(ref _finishedCount);
    }

    private SendOutcome Admit(ActivationMessage message, out PendingActivation? pending)
    {
        pending = null;
        var size = message.SizeBytes;
        if (size > _options.MaxMessageBytes)
        {
            return SendOutcome.TooLarge;
        }

        if (Volatile.Read(ref _isStopping) || !_log.Log.Accepts || !_finished.Healthy)
        {
            return SendOutcome.Full;
        }

        var outcome = _bounds.Enter(message.User.NamespaceUuid, 1, size);
        if (outcome != SendOutcome.Sent)
        {
            return outcome;
        }

        pending = new PendingActivation(this, message, message.ActionHint?.Retries ?? 0);
        if (!_pending.TryAdd(pending))
        {
            _bounds.Leave(message.User.NamespaceUuid, 1, size);
            throw new InvalidOperationException($"The activation {message.Id} is pending already.");
        }

        Interlocked.Increment(ref _acceptedCount);
        KeepRoomAhead();
        return SendOutcome.Sent;
    }

    private SendOutcome Deliver(PendingActivation pending)
    {
        var outcome = _intake.Receive(pending);
        if (outcome != SendOutcome.Sent)
        {
            Withdraw(pending);
        }

        return outcome;
    }

    private async ValueTask<SendOutcome> AcceptThenDeliverAsync(PendingActivation pending)
    {
        LogPosition position;
        using (var entry = PooledBuffer.Rent(pending.SizeBytes + 512))
        {
            AcceptedEntry.WriteAccepted(pending.Message, pending.Retries, entry);
            if (!_log.TryAppend(EntryType.Accepted, entry.Span, [], holds: 1, out position))
            {
                Withdraw(pending);
                return SendOutcome.Full;
            }
        }

        NoteAccepted(pending, position.Segment);
        if (!await IsSyncedAsync(position))
        {
            Withdraw(pending);
            return SendOutcome.Full;
        }

        return Deliver(pending);
    }

    /// <summary>
    /// Appends the accepted entry of a blocking call, which says too whether it runs: all or nothing, or it could run again after a crash although
    /// its client was refused. The position is empty when the call is over already, and that of the end when another caller was here before.
    /// </summary>
    private bool TryAcceptSent(PendingActivation pending, PooledBuffer entry, out LogPosition position)
    {
        position = default;
        lock (pending)
        {
            if (pending.IsFinished)
            {
                return !pending.IsRefused;
            }

            if (pending.AcceptedSegment != 0)
            {
                position = _log.Log.End;
                return true;
            }

            if (pending.StartedMs != 0)
            {
                AcceptedEntry.TakeRetry(entry.WrittenSpan);
            }

            if (!_log.TryAppend(EntryType.Accepted, entry.Span, [], holds: 1, out position))
            {
                return false;
            }

            pending.AcceptedSegment = position.Segment;
            return true;
        }
    }

    private bool TryAppendStarted(PendingActivation pending)
    {
        if (!_log.TryAppendStarted(pending, out var position))
        {
            LogStartRefused(_logger, pending.Id.ToString());
            return false;
        }

        pending.StartedSegment = position.Segment;
        return true;
    }

    private static void NoteAccepted(PendingActivation pending, long segment)
    {
        lock (pending)
        {
            pending.AcceptedSegment = segment;
        }
    }

    /// <summary>Gives a message that was not delivered back to its sender. An accepted entry of it is ended: nobody holds its id.</summary>
    private void Withdraw(PendingActivation pending)
    {
        long acceptedSegment;
        lock (pending)
        {
            pending.IsFinished = true;
            acceptedSegment = pending.AcceptedSegment;
        }

        if (acceptedSegment != 0 && _log.TryAppendDone(pending.Id))
        {
            Drop(acceptedSegment, 0);
        }

        Interlocked.Decrement(ref _acceptedCount);
        Leave(pending);
    }

    private void Leave(PendingActivation pending)
    {
        _pending.Remove(pending.Id);
        _bounds.Leave(pending.NamespaceUuid, 1, pending.SizeBytes);
        if (Volatile.Read(ref _isStopping) && _bounds.Items == 0)
        {
            _empty.TrySetResult();
        }
    }

    private void Drop(long acceptedSegment, long startedSegment)
    {
        _log.Drop(acceptedSegment);
        if (startedSegment != 0)
        {
            _log.Drop(startedSegment);
        }
    }

    private bool TryRecord(FinishedActivation finished)
    {
        try
        {
            // False is a second record of one id: the first one counts, and it is there.
            _finished.Append(finished);
            return true;
        }
        catch (RecordRefusedException exception)
        {
            LogRecordRefused(_logger, exception, finished.Id.ToString());
            return false;
        }
    }

    /// <summary>Any pending blocking call may have to be written when its wait ends: the log has the room for it ready.</summary>
    private void KeepRoomAhead()
    {
        var segments = _bounds.Bytes / _options.SegmentBytes;
        if (Interlocked.Exchange(ref _keptAhead, segments) != segments)
        {
            _log.Log.KeepAhead((segments + 1) * _options.SegmentBytes);
        }
    }

    private async ValueTask<bool> IsSyncedAsync(LogPosition position)
    {
        try
        {
            await _log.Log.SyncedAsync(position, CancellationToken.None);
            return true;
        }
        catch (LogRefusedException)
        {
            return false; // The log has said why.
        }
    }

    private async ValueTask<bool> AreRecordsSyncedAsync()
    {
        try
        {
            await _finished.FlushAsync(CancellationToken.None);
            return true;
        }
        catch (LogRefusedException)
        {
            return false; // The log has said why.
        }
    }

    [LoggerMessage(3000, LogLevel.Information, "Recovered: {Done} done, {DeliveredAgain} delivered again, {Interrupted} interrupted, {TooOld} too old, {Triggers} triggers recorded.")]
    private static partial void LogRecovered(ILogger logger, int done, int deliveredAgain, int interrupted, int tooOld, int triggers);

    [LoggerMessage(3001, LogLevel.Warning, "The time to stop is over; {Pending} activations are left to the next start.")]
    private static partial void LogLeft(ILogger logger, long pending);

    [LoggerMessage(3002, LogLevel.Error, "The start of activation {Id} could not be written, so that after a crash it could run twice: it is not run.")]
    private static partial void LogStartRefused(ILogger logger, string id);

    [LoggerMessage(3003, LogLevel.Error, "The record of activation {Id} could not be written.")]
    private static partial void LogRecordRefused(ILogger logger, Exception exception, string id);
}
