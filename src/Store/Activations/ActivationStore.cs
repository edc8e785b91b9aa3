using System.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Microsoft.Extensions.Logging;

namespace Frusta.Store.Activations;

/// <summary>The activation store of a single node: the finished journal, with an index over it.</summary>
/// <remarks>
/// A record is written once, into the log, and its entry stays in memory until an index has it. A reader looks through memory first, then through the
/// indexes, and drops the entries of memory that an index had too: so each record is found exactly once, also while it moves from one to the other.
/// </remarks>
public sealed class ActivationStore : IActivationStore, IAsyncDisposable
{
    private readonly ActivationStoreOptions _options;
    private readonly SegmentedLog _log;
    private readonly ActivationSlices _slices;
    private readonly ActivationIndexing _indexing;
    private readonly ActivationsInMemory _memory;
    private readonly ReadActivations _read;

    private ActivationStore(SegmentedLog log, ActivationSlices slices, ActivationStoreOptions options, TimeProvider clock, ILogger logger)
    {
        _options = options;
        _log = log;
        _slices = slices;
        _memory = new ActivationsInMemory(options.RecentIds);
        _read = new ReadActivations(_memory, slices, log, options.Readers, clock);
        slices.Committed = _memory.CutUpTo;
        _indexing = new ActivationIndexing(slices, log, options.IndexInterval, clock, logger);
    }

    /// <summary>Opens the store in a folder that no other program uses, or makes it. Records that a crash left without an index are indexed first.</summary>
    /// <exception cref="LogDamagedException">A record that was on disk is not readable; the message says what to do.</exception>
    /// <exception cref="StoreFormatException">A newer program wrote an index.</exception>
    public static ActivationStore Open(string folder, ActivationStoreOptions options, TimeProvider clock, ILogger<ActivationStore> logger)
    {
        var log = SegmentedLog.Open(
            new SegmentedLogOptions
            {
                Folder = Path.Combine(folder, "log"),
                SegmentBytes = options.SegmentBytes,
                MaxEntryBytes = options.MaxRecordBytes + RecordHead.MaxBytes,
                MaxBytes = options.MaxBytes + 4L * options.SegmentBytes + 2L * options.MaxRecordBytes,
                FlushInterval = options.FlushInterval,
                Released = ReleasedSegments.Delete,
            },
            clock,
            logger);
        log.KeepAhead(options.SegmentBytes);
        var slices = new ActivationSlices(Path.Combine(folder, "index"), log, options, logger);
        try
        {
            slices.Recover();
            return new ActivationStore(log, slices, options, clock, logger);
        }
        catch
        {
            slices.Dispose();
            log.Dispose();
            throw;
        }
    }

    /// <summary>False when a record might soon be refused: the log is full or failed, or the index does not keep up. Admission stops then.</summary>
    public bool Healthy => _log.Accepts && _memory.Unindexed < _options.UnindexedRecords - _options.UnindexedRecords / 4L;

    /// <summary>Records in memory that may not be in an index yet.</summary>
    public int Unindexed => _memory.Unindexed;

    /// <summary>Bytes of the log on disk.</summary>
    public long Bytes => _log.TotalBytes;

    /// <inheritdoc/>
    /// <remarks>No wait and no I/O but the copy into mapped memory. Only the ids of the latest records are known (see the options): a second record of an older id is not noticed.</remarks>
    /// <exception cref="LogRefusedException">The disk is full, a sync failed, or the store is closed.</exception>
    /// <exception cref="StoreOverloadedException">Too many records wait for the index.</exception>
    public bool Append(FinishedActivation finished)
    {
        if (!_memory.TryBegin(finished.Id))
        {
            return false;
        }

        LogPosition position;
        try
        {
            position = AppendToLog(finished);
        }
        catch
        {
            _memory.Forget(finished.Id);
            throw;
        }

        var entry = new TailEntry(finished.Id, finished.Namespace, finished.FilterName, finished.StartMs, position, finished.Store);
        _memory.Add(entry);
        if (_memory.Unindexed >= _options.IndexBatch)
        {
            _indexing.Force();
        }

        StoreMetrics.DocumentWrite(isDeletion: false, withAttachment: false);
        return true;
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => _log.SyncedAsync(_log.End, cancellationToken);

    /// <inheritdoc/>
    /// <remarks>True also for an activation that ended and whose record is not kept because the namespace's limits say so: it must not run again.</remarks>
    public ValueTask<bool> ContainsAsync(ActivationId id, CancellationToken cancellationToken) => _read.ContainsAsync(id, cancellationToken);

    public ValueTask<RecordLocation?> LocateAsync(string namespaceName, ActivationId id, CancellationToken cancellationToken) =>
        _read.LocateAsync(namespaceName, id, cancellationToken);

    public ValueTask<IReadOnlyList<RecordLocation>> LocateAsync(ActivationQuery query, CancellationToken cancellationToken) => _read.LocateAsync(query, cancellationToken);

    public ValueTask<RecordPage> ReadAsync(IReadOnlyList<RecordLocation> locations, CancellationToken cancellationToken) => _read.ReadAsync(locations, cancellationToken);

    public ValueTask<long> CountAsync(ActivationQuery query, CancellationToken cancellationToken) => _read.CountAsync(query, cancellationToken);

    /// <summary>Syncs and indexes everything, then closes.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await FlushAsync(CancellationToken.None);
        }
        catch (LogRefusedException)
        {
            // A log that failed has logged why; its content stays as it is.
        }

        await _indexing.DisposeAsync();
        _slices.Dispose();
        _log.Dispose();
        _read.Dispose();
    }

    private LogPosition AppendToLog(FinishedActivation finished)
    {
        if (_memory.Unindexed >= _options.UnindexedRecords)
        {
            throw new StoreOverloadedException($"{_memory.Unindexed} activation records wait to be indexed, and Store:Activations:UnindexedRecords allows {_options.UnindexedRecords}.");
        }

        const int OnStack = 1024;
        var room = RecordHead.Room(finished);
        var rented = room > OnStack ? ArrayPool<byte>.Shared.Rent(room) : null;
        var head = rented ?? stackalloc byte[OnStack];
        var length = RecordHead.Write(finished, head);
        var position = finished.Store
            ? _log.Append(RecordHead.Kept, head[..length], finished.Record.Span)
            : _log.Append(RecordHead.NotKept, head[..length], []);
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        return position;
    }
}
