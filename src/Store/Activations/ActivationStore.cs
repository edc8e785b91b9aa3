using System.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Microsoft.Extensions.Logging;

namespace Frusta.Store.Activations;

/// <summary>The activation store of a single node: the finished journal, with an index over it.</summary>
/// <remarks>
/// A record is written once, into the log, and is in memory until an index has it. A reader walks memory first, then
/// takes the indexes, and leaves out of the first what the second already had: so each record is found, once, at any
/// moment of its move from one to the other.
/// </remarks>
public sealed class ActivationStore : IActivationStore, IAsyncDisposable
{
    /// <summary>An entry of no more bytes is read whole: to look where its logs are would cost as much.</summary>
    private const int ReadWholeBytes = 8 * 1024;

    private readonly ActivationStoreOptions _options;
    private readonly SegmentedLog _log;
    private readonly ActivationSlices _slices;
    private readonly ActivationIndexing _indexing;
    private readonly ActivationTail _tail = new();
    private readonly RecentActivations _recent;
    private readonly SemaphoreSlim _readers;
    private readonly TimeProvider _clock;

    private ActivationStore(SegmentedLog log, ActivationSlices slices, ActivationStoreOptions options, TimeProvider clock, ILogger logger)
    {
        _options = options;
        _log = log;
        _slices = slices;
        _clock = clock;
        _recent = new RecentActivations(options.RecentIds);
        _readers = new SemaphoreSlim(options.Readers);
        slices.Committed = _tail.CutUpTo;
        _indexing = new ActivationIndexing(slices, log, options.IndexInterval, clock, logger);
    }

    /// <summary>Opens the store in a folder that this program alone has, or makes it. What a crash left unindexed is indexed first.</summary>
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
    public bool Healthy => _log.Accepts && _tail.Count < _options.UnindexedRecords - _options.UnindexedRecords / 4L;

    /// <summary>Records in memory that may not be in an index yet.</summary>
    public int Unindexed => _tail.Count;

    /// <summary>Bytes of the log on disk.</summary>
    public long Bytes => _log.TotalBytes;

    /// <inheritdoc/>
    /// <remarks>No wait and no I/O but the copy into mapped memory. Of an id that is older than the latest records (see the options) a second record is not noticed.</remarks>
    /// <exception cref="LogRefusedException">The disk is full, a sync failed, or the store is closed.</exception>
    /// <exception cref="StoreOverloadedException">Too many records wait for the index.</exception>
    public bool Append(FinishedActivation finished)
    {
        if (!_recent.TryBegin(finished.Id))
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
            _recent.Forget(finished.Id);
            throw;
        }

        var entry = new TailEntry(finished.Id, finished.Namespace, finished.FilterName, finished.StartMs, position, finished.Store);
        _tail.Add(entry);
        _recent.Complete(entry);
        if (_tail.Count >= _options.IndexBatch)
        {
            _indexing.Force();
        }

        StoreMetrics.DocumentWrite(isDeletion: false, withAttachment: false);
        return true;
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => _log.SyncedAsync(_log.End, cancellationToken);

    /// <inheritdoc/>
    /// <remarks>True also for an activation that ended and whose record is not kept by rule: it must not run again.</remarks>
    public ValueTask<bool> ContainsAsync(ActivationId id, CancellationToken cancellationToken)
    {
        if (TryFindInMemory(id, out _))
        {
            return ValueTask.FromResult(true);
        }

        return ReadAsync(() => Array.Exists(_slices.Current, slice =>
            slice.State.MayHold(id) && _slices.Readers.Read(slice, id, static (reader, id) => reader.Contains(id), none: false)), cancellationToken);
    }

    public ValueTask<RecordLocation?> LocateAsync(string namespaceName, ActivationId id, CancellationToken cancellationToken)
    {
        StoreMetrics.DocumentGet();
        if (TryFindInMemory(id, out var entry))
        {
            return ValueTask.FromResult<RecordLocation?>(
                entry.Kept && string.Equals(entry.Namespace, namespaceName, StringComparison.Ordinal) ? new RecordLocation(id, entry.Position) : null);
        }

        return ReadAsync(() => LocateIndexed(namespaceName, id), cancellationToken);
    }

    public ValueTask<IReadOnlyList<RecordLocation>> LocateAsync(ActivationQuery query, CancellationToken cancellationToken)
    {
        StoreMetrics.ViewQuery();
        return ReadAsync<IReadOnlyList<RecordLocation>>(() => Locate(query), cancellationToken);
    }

    public ValueTask<RecordPage> ReadAsync(IReadOnlyList<RecordLocation> locations, CancellationToken cancellationToken) =>
        ReadAsync(() => Read(locations), cancellationToken);

    public ValueTask<long> CountAsync(ActivationQuery query, CancellationToken cancellationToken)
    {
        StoreMetrics.ViewQuery();
        return ReadAsync(() => Count(query), cancellationToken);
    }

    /// <summary>Syncs and indexes everything, then closes.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await FlushAsync(CancellationToken.None);
        }
        catch (LogRefusedException)
        {
            // A log that failed has said so; what is in it stays as it is.
        }

        await _indexing.DisposeAsync();
        _slices.Dispose();
        _log.Dispose();
        _readers.Dispose();
    }

    private LogPosition AppendToLog(FinishedActivation finished)
    {
        if (_tail.Count >= _options.UnindexedRecords)
        {
            throw new StoreOverloadedException($"{_tail.Count} activation records wait for the index (at most {_options.UnindexedRecords}).");
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

    private bool TryFindInMemory(ActivationId id, out TailEntry entry) =>
        _recent.TryFind(id, out entry) || (_tail.Count > _recent.Sure && _tail.TryFind(id, out entry));

    private RecordLocation? LocateIndexed(string namespaceName, ActivationId id)
    {
        var begun = _clock.GetTimestamp();
        var slices = _slices.Current;
        RecordLocation? location = null;
        for (var i = slices.Length - 1; i >= 0 && location is null; i--)
        {
            if (slices[i].State.MayHold(id)
                && _slices.Readers.Read(slices[i], id, static (reader, id) => reader.Get(id), none: null) is var (owner, position)
                && string.Equals(owner, namespaceName, StringComparison.Ordinal))
            {
                location = new RecordLocation(id, position);
            }
        }

        StoreMetrics.DocumentGot(_clock.GetElapsedTime(begun));
        return location;
    }

    private List<RecordLocation> Locate(ActivationQuery query)
    {
        var begun = _clock.GetTimestamp();
        List<RecordLocation> locations = [.. Find(query).Select(found => new RecordLocation(found.Id, found.Position, query.WithLogs ? null : BytesBeforeLogs(found.Position)))];
        StoreMetrics.ViewQueried(_clock.GetElapsedTime(begun));
        return locations;
    }

    /// <summary>Bytes of an entry up to the logs of its record; null for an entry that is read whole: a small one, and one whose head does not tell.</summary>
    private int? BytesBeforeLogs(LogPosition position)
    {
        Span<byte> lead = stackalloc byte[RecordHead.LeadBytes];
        return position.Length > ReadWholeBytes && _log.TryRead(position, lead, out var type) && RecordHead.BytesBeforeLogs(lead, type) is { } bytes && bytes <= position.Length
            ? bytes
            : null;
    }

    private RecordPage Read(IReadOnlyList<RecordLocation> locations)
    {
        var page = new RecordPage(checked((int)locations.Sum(static location => (long)location.Bytes)));
        try
        {
            foreach (var location in locations)
            {
                page.Read(_log, location);
            }

            return page;
        }
        catch
        {
            page.Dispose();
            throw;
        }
    }

    private List<FoundActivation> Find(ActivationQuery query)
    {
        // Memory before the indexes: a record that moves meanwhile is then seen at least once, and below at most once.
        var inMemory = new List<TailEntry>();
        _tail.Collect(query, inMemory);
        var wanted = (int)Math.Min((long)query.Skip + query.Limit, int.MaxValue);
        var found = new List<FoundActivation>();
        var seen = new List<(long FirstSegment, LogPosition StoredUpTo)>();
        foreach (var (slice, state) in Newest(query))
        {
            if (state.IsSealed && found.Count >= wanted && wanted > 0 && found[wanted - 1].StartMs > state.GreatestStartMs)
            {
                break;
            }

            var storedUpTo = _slices.Readers.Read(
                slice, (query, wanted, found), static (reader, state) => reader.List(state.query, state.wanted, state.found), none: default);
            seen.Add((state.FirstSegment, storedUpTo));
            Cut(found, wanted);
        }

        foreach (var entry in inMemory)
        {
            if (!IsIn(seen, entry.Position))
            {
                found.Add(new FoundActivation(entry.StartMs, entry.Id, entry.Position));
            }
        }

        Cut(found, wanted);
        found.RemoveRange(0, Math.Min(query.Skip, found.Count));
        return found;
    }

    private long Count(ActivationQuery query)
    {
        var inMemory = new List<TailEntry>();
        _tail.Collect(query, inMemory);
        var count = 0L;
        var seen = new List<(long FirstSegment, LogPosition StoredUpTo)>();
        foreach (var (slice, state) in Newest(query))
        {
            var (storedUpTo, counted) = _slices.Readers.Read(slice, query, static (reader, query) => reader.Count(query), none: default);
            seen.Add((state.FirstSegment, storedUpTo));
            count += counted;
        }

        foreach (var entry in inMemory)
        {
            count += IsIn(seen, entry.Position) ? 0 : 1;
        }

        return count;
    }

    /// <summary>The slices that may hold rows of the query: the open one first, then by their newest start.</summary>
    private List<(Slice Slice, SliceState State)> Newest(ActivationQuery query)
    {
        var slices = new List<(Slice Slice, SliceState State)>();
        foreach (var slice in _slices.Current)
        {
            var state = slice.State;
            if (state.MayHold(query))
            {
                slices.Add((slice, state));
            }
        }

        slices.Sort(static (a, b) => a.State.IsSealed != b.State.IsSealed
            ? a.State.IsSealed.CompareTo(b.State.IsSealed)
            : b.State.GreatestStartMs.CompareTo(a.State.GreatestStartMs));
        return slices;
    }

    private static bool IsIn(List<(long FirstSegment, LogPosition StoredUpTo)> seen, LogPosition position)
    {
        foreach (var (firstSegment, storedUpTo) in seen)
        {
            if (position.Segment >= firstSegment && !position.IsBehind(storedUpTo))
            {
                return true;
            }
        }

        return false;
    }

    private static void Cut(List<FoundActivation> found, int wanted)
    {
        found.Sort(FoundActivation.NewestFirst);
        if (found.Count > wanted)
        {
            found.RemoveRange(wanted, found.Count - wanted);
        }
    }

    /// <summary>Reads on the thread pool, so many at a time as the options allow.</summary>
    private async ValueTask<T> ReadAsync<T>(Func<T> read, CancellationToken cancellationToken)
    {
        await _readers.WaitAsync(cancellationToken);
        try
        {
            return await Task.Run(read, CancellationToken.None);
        }
        finally
        {
            _readers.Release();
        }
    }
}
