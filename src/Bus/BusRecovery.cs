using System.Buffers.Binary;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Microsoft.Extensions.Logging;

namespace Frusta.Bus;

/// <summary>Settles the activations in the log of an earlier process: each is done already, runs again, or gets a record that says it was interrupted.</summary>
/// <remarks>Each step depends only on the files on disk, so the process may die at any point, and the next start recovers again.</remarks>
internal sealed partial class BusRecovery(
    PendingActivations pending, ParkedDeliveries parked, AcceptedLog log, IFinishedActivations finished, TimeProvider clock, TimeSpan maxAge, ILogger logger)
{
    private const int MostRetries = ushort.MaxValue - 1; // the most starts that an entry can count

    private static readonly byte[] Interruption = System.Text.Encoding.UTF8.GetBytes($$"""{"error":"{{ExecutionTexts.Interrupted}}"}""");

    private readonly Dictionary<ActivationId, Left> _left = [];
    private readonly List<(LogPosition Position, EntryType Type)> _entries = [];
    private int _done;
    private int _deliveredAgain;
    private int _interrupted;
    private int _tooOld;
    private int _triggersRecorded;

    /// <summary>Reads the whole log, then settles its accepted entries in their order.</summary>
    internal async ValueTask<RecoverySummary> RunAsync(CancellationToken cancellationToken)
    {
        ReadLog();
        foreach (var (position, type) in _entries)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var entry = PooledBuffer.Rent(position.Length);
            if (!log.Log.TryRead(position, entry))
            {
                continue;
            }

            var messages = new List<(ActivationMessage Message, int Retries)>();
            if (ReadEntry(type, entry, messages) is { } triggerRecord)
            {
                await SettleTriggerAsync(triggerRecord, cancellationToken);
            }

            foreach (var (message, retries) in messages)
            {
                await SettleAsync(message, retries, position.Segment, cancellationToken);
            }
        }

        await finished.FlushAsync(cancellationToken);
        return new RecoverySummary(_done, _deliveredAgain, _interrupted, _tooOld, _triggersRecorded);
    }

    private void ReadLog()
    {
        using var reader = log.Log.ReadAfter(default);
        foreach (var entry in reader)
        {
            switch ((EntryType)entry.Type)
            {
                case EntryType.Accepted:
                    _left.TryAdd(ActivationId.FromBytes(entry.Payload), new Left());
                    _entries.Add((entry.Position, (EntryType)entry.Type));
                    break;
                case EntryType.Fire:
                    AcceptedEntry.ReadRecord(entry.Payload, out var rest).Record.Dispose();
                    while (AcceptedEntry.TryReadNext(ref rest, out var accepted))
                    {
                        _left.TryAdd(ActivationId.FromBytes(accepted), new Left());
                    }

                    _entries.Add((entry.Position, (EntryType)entry.Type));
                    break;
                case EntryType.Started when _left.TryGetValue(ActivationId.FromBytes(entry.Payload), out var started):
                    var word = BinaryPrimitives.ReadUInt64LittleEndian(entry.Payload[16..]);
                    started.Starts = Math.Max(started.Starts, (int)(word >> 48) + 1);
                    started.StartedMs = (long)(word & 0xffff_ffff_ffff);
                    break;
                case EntryType.Done:
                    log.NoteDone(entry.Position.Segment);
                    _left.Remove(ActivationId.FromBytes(entry.Payload));
                    break;
            }
        }
    }

    /// <summary>Adds the messages of an entry to the list; gives the trigger's record when the entry is a fire, else null.</summary>
    private FinishedActivation? ReadEntry(EntryType type, PooledBuffer entry, List<(ActivationMessage Message, int Retries)> messages)
    {
        if (type == EntryType.Fire)
        {
            var record = AcceptedEntry.ReadRecord(entry.Span, out var rest);
            while (AcceptedEntry.TryReadNext(ref rest, out var accepted))
            {
                AddMessage(accepted, messages);
            }

            return record;
        }

        AddMessage(entry.Span, messages);
        return null;
    }

    private void AddMessage(ReadOnlySpan<byte> accepted, List<(ActivationMessage Message, int Retries)> messages)
    {
        var id = ActivationId.FromBytes(accepted);
        if (!_left.ContainsKey(id))
        {
            return;
        }

        if (ActivationMessageCodec.TryParse(accepted[AcceptedEntry.HeadBytes..], out var message))
        {
            messages.Add((message, AcceptedEntry.ReadRetries(accepted)));
        }
        else
        {
            throw new LogDamagedException(
                $"The accepted activation {id} is whole on disk but is not a message that this version reads. Start the version that wrote it, and let it finish.");
        }
    }

    private async ValueTask SettleTriggerAsync(FinishedActivation record, CancellationToken cancellationToken)
    {
        if (record.Store && !await finished.ContainsAsync(record.Id, cancellationToken) && finished.Append(record))
        {
            _triggersRecorded++;
        }

        record.Record.Dispose();
    }

    private async ValueTask SettleAsync(ActivationMessage message, int retries, long segment, CancellationToken cancellationToken)
    {
        if (!_left.Remove(message.Id, out var left) || await finished.ContainsAsync(message.Id, cancellationToken))
        {
            _done++;
            message.Release();
            return;
        }

        var now = clock.GetUtcNow();
        if (now - DateTimeOffset.FromUnixTimeMilliseconds(message.ArrivedMs) > maxAge)
        {
            RecordInterruption(message, left, now);
            _tooOld++;
        }
        else if (left.Starts <= Math.Min(retries, MostRetries))
        {
            if (pending.TakeInAgain(message, retries, left.Starts, segment) is { } again)
            {
                parked.Deliver(again);
                _deliveredAgain++;
            }
        }
        else
        {
            RecordInterruption(message, left, now);
            _interrupted++;
        }
    }

    private void RecordInterruption(ActivationMessage message, Left left, DateTimeOffset now)
    {
        var startMs = left.Starts > 0 ? left.StartedMs : message.ArrivedMs;
        var record = ActivationRecordWriter.Finish(
            new ActivationRecord
            {
                Id = message.Id,
                Namespace = message.User.NamespaceName,
                Name = message.Action.Name,
                Version = message.ActionVersion,
                Subject = message.User.Subject,
                Cause = message.Cause,
                StartMs = startMs,
                EndMs = Math.Max(startMs, now.ToUnixTimeMilliseconds()),
                Status = ActivationStatus.WhiskError,
                Result = Interruption,
                Action = message.Action,
                Kind = "unknown",
                WaitMs = Math.Max(startMs - message.ArrivedMs, 0),
                Binding = message.Binding,
            },
            ActivationRecordWriter.FilterName(message.Action, message.Binding));
        finished.Append(record);
        pending.RecordedAtStart();
        LogInterrupted(logger, message.Id.ToString(), message.Action.DocumentId);
        record.Record.Dispose();
        message.Release();
    }

    /// <summary>The starts of an accepted activation that an earlier process left.</summary>
    private sealed class Left
    {
        internal int Starts { get; set; }

        internal long StartedMs { get; set; }
    }

    [LoggerMessage(3010, LogLevel.Warning,
        "Activation {Id} of {Action} was interrupted by the end of an earlier server process, or is too old to be run; its record says that it was interrupted.")]
    private static partial void LogInterrupted(ILogger logger, string id, string action);
}
