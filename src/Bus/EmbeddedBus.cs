using Frusta.Contracts.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Microsoft.Extensions.Logging;

namespace Frusta.Bus;

/// <summary>The bus of one process: it calls the invoker, and writes to a journal the activations that were promised to a client.</summary>
/// <remarks>
/// A blocking call has no entry in the journal: nothing is promised until its record is written. An activation that gets a 202 is written to the disk
/// before the answer, and delivered after that, so that none runs that could still be refused. Its place in the invoker is reserved before, so that an
/// overload is refused without waiting for the disk. From its first *started* entry on it is not run again, unless its action asks for that. Its entries
/// are given up once its record is on disk.
/// </remarks>
public sealed partial class EmbeddedBus : IBus
{
    private readonly AcceptedLog _log;
    private readonly IFinishedActivations _finished;
    private readonly IActivationIntake _intake;
    private readonly TimeProvider _clock;
    private readonly BusOptions _options;
    private readonly ILogger _logger;
    private readonly PendingActivations _pending;
    private readonly Compaction _compaction;
    private readonly ParkedDeliveries _parked;

    /// <param name="acceptedLog">See <see cref="BusOptions.AcceptedLog"/>; the caller closes it after <see cref="StopAsync"/>.</param>
    /// <param name="finished">Takes the records.</param>
    /// <param name="intake">The invoker.</param>
    /// <param name="clock">Gives ages and start times.</param>
    /// <param name="options">The bounds.</param>
    /// <param name="logger">Takes the lines for the operator.</param>
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
        _pending = new PendingActivations(_log, finished, clock, options, logger);
        _compaction = new Compaction(_log, _pending.Table, options);
        _parked = new ParkedDeliveries(intake, clock);
        BusMetrics.Observe(this);
    }

    /// <summary>Counts since the start.</summary>
    public BusCounts Snapshot() => _pending.Snapshot();

    /// <summary>
    /// Settles the activations that an earlier process left. To be called once, after the activation store is open and before any activation is
    /// sent. If it is interrupted at any point, the next start does it again.
    /// </summary>
    /// <exception cref="LogDamagedException">An entry is not readable; the message says what to do.</exception>
    public async ValueTask<RecoverySummary> RecoverAsync(CancellationToken cancellationToken)
    {
        var recovery = new BusRecovery(_pending, _parked, _log, _finished, _clock, TimeSpan.FromSeconds(_options.MaxAgeSeconds), _logger);
        var summary = await recovery.RunAsync(cancellationToken);
        await _log.ReleaseUnheldAsync();
        _compaction.Consider();
        if (summary != new RecoverySummary(0, 0, 0, 0, 0))
        {
            LogRecovered(_logger, summary.Done, summary.DeliveredAgain, summary.Interrupted, summary.TooOld, summary.TriggersRecorded);
        }

        return summary;
    }

    public ValueTask<SendOutcome> SendAsync(OutgoingActivation activation, bool acceptFirst, CancellationToken cancellationToken)
    {
        var outcome = _pending.TakeIn(activation, out var pending);
        if (outcome != SendOutcome.Sent)
        {
            return new(outcome);
        }

        return acceptFirst ? AcceptThenDeliverAsync(pending!) : new(Deliver(pending!));
    }

    public async ValueTask<SendOutcome> AcceptSentAsync(ActivationId id, CancellationToken cancellationToken)
    {
        if (_pending.Table.Find(id) is { } pending)
        {
            if (!_pending.TryAcceptSent(pending, out var position))
            {
                return SendOutcome.Full;
            }

            if (position.Segment != 0)
            {
                if (!await _log.TrySyncAsync(position))
                {
                    return SendOutcome.Full;
                }

                LogAccepted(_logger, id);
                return SendOutcome.Sent;
            }
        }

        // The activation has its record already. The client is about to get its id, so the record must be on disk.
        return await TrySyncRecordsAsync() ? SendOutcome.Sent : SendOutcome.Full;
    }

    public async ValueTask<SendOutcome> FireAsync(
        FinishedActivation triggerRecord, IReadOnlyList<OutgoingActivation> activations, CancellationToken cancellationToken)
    {
        var deliveries = new List<PendingActivation>(activations.Count);
        for (var i = 0; i < activations.Count; i++)
        {
            var outcome = _pending.TakeIn(activations[i], out var pending);
            if (outcome != SendOutcome.Sent)
            {
                deliveries.ForEach(_pending.Withdraw);
                return outcome;
            }

            deliveries.Add(pending!);
        }

        LogPosition position;
        using (var entry = PooledBuffer.Rent(4096))
        {
            AcceptedEntry.WriteFire(triggerRecord, deliveries, entry);
            if (entry.Length > _options.MaxMessageBytes || !_log.TryAppend(EntryType.Fire, entry.Span, [], 1 + deliveries.Count, out position))
            {
                deliveries.ForEach(_pending.Withdraw);
                return entry.Length > _options.MaxMessageBytes ? SendOutcome.TooLarge : SendOutcome.Full;
            }
        }

        // Each pending activation holds the segment once, and the trigger's record holds it once until that is written.
        deliveries.ForEach(pending => pending.AcceptedIn(position.Segment));
        if (!await _log.TrySyncAsync(position))
        {
            deliveries.ForEach(_pending.Withdraw);
            return SendOutcome.Full;
        }

        if (!triggerRecord.Store || _pending.TryRecord(triggerRecord))
        {
            _log.Drop(position.Segment);
        }

        triggerRecord.Record.Dispose();
        deliveries.ForEach(pending => LogAccepted(_logger, pending.Id));
        deliveries.ForEach(_parked.Deliver);
        return SendOutcome.Sent;
    }

    /// <summary>
    /// Takes no more activations, waits until none is pending or the time is over, and writes everything to the disk. Accepted activations that have not
    /// started stay in the log and run after the next start.
    /// </summary>
    public async ValueTask StopAsync(TimeSpan deadline)
    {
        _pending.Close();
        if (!await _pending.EmptiedAsync(deadline))
        {
            LogLeft(_logger, _pending.Count);
        }

        _parked.Stop();
        await TrySyncRecordsAsync();
        await _log.TrySyncAsync(_log.Log.End);
        await _compaction.SettledAsync();
        await _log.SettledAsync();
    }

    private SendOutcome Deliver(PendingActivation pending)
    {
        var outcome = _intake.Receive(pending);
        if (outcome != SendOutcome.Sent)
        {
            _pending.Withdraw(pending);
        }

        return outcome;
    }

    private async ValueTask<SendOutcome> AcceptThenDeliverAsync(PendingActivation pending)
    {
        var outcome = _intake.Reserve(pending, out var place);
        if (outcome != SendOutcome.Sent)
        {
            _pending.Withdraw(pending);
            return outcome;
        }

        var span = Spans.Begin("accept");
        var isOnDisk = _pending.TryAccept(pending, out var position) && await _log.TrySyncAsync(position);
        span?.Dispose();
        if (!isOnDisk)
        {
            place!.GiveBack();
            _pending.Withdraw(pending);
            return SendOutcome.Full;
        }

        LogAccepted(_logger, pending.Id);

        place!.Enter();
        return SendOutcome.Sent;
    }

    private async ValueTask<bool> TrySyncRecordsAsync()
    {
        try
        {
            await _finished.FlushAsync(CancellationToken.None);
            return true;
        }
        catch (LogRefusedException)
        {
            return false; // The store has logged why.
        }
    }

    [LoggerMessage(3004, LogLevel.Debug, "Activation {Id}: accepted, on disk")]
    private static partial void LogAccepted(ILogger logger, ActivationId id);

    [LoggerMessage(3000, LogLevel.Information,
        "Recovered the activations of an earlier server process: {Done} had a record, {DeliveredAgain} run now, {Interrupted} were interrupted, {TooOld} are too old to be run; {Triggers} fired triggers got their record.")]
    private static partial void LogRecovered(ILogger logger, int done, int deliveredAgain, int interrupted, int tooOld, int triggers);

    [LoggerMessage(3001, LogLevel.Warning,
        "{Pending} activations have not ended in the time to stop: those that are on disk and have not started run after the next start, all others are broken off.")]
    private static partial void LogLeft(ILogger logger, long pending);
}
