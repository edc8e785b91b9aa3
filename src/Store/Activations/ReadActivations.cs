using Frusta.Contracts.Names;
using Frusta.Journal;

namespace Frusta.Store.Activations;

/// <summary>The reading side of the activation store: finds records in memory and in the indexes, and reads them from the log.</summary>
/// <remarks>Memory is looked through before the indexes, so that a record that moves from one to the other meanwhile is found, and only once.</remarks>
/// <param name="memory">The records in memory.</param>
/// <param name="slices">The indexes.</param>
/// <param name="log">The log with the records.</param>
/// <param name="mostReaders">Reads of the disk at a time.</param>
/// <param name="clock">Measures the reads.</param>
internal sealed class ReadActivations(ActivationsInMemory memory, ActivationSlices slices, SegmentedLog log, int mostReaders, TimeProvider clock) : IDisposable
{
    /// <summary>An entry of at most so many bytes is read whole: to find out where its logs begin would cost as much.</summary>
    private const int ReadWholeBytes = 8 * 1024;

    private readonly SemaphoreSlim _readers = new(mostReaders);

    /// <summary>True when a record of this id is kept.</summary>
    /// <remarks>True also for an activation that ended and whose record is not kept because the namespace's limits say so: it must not run again.</remarks>
    public ValueTask<bool> ContainsAsync(ActivationId id, CancellationToken cancellationToken)
    {
        if (memory.TryFind(id, out _))
        {
            return ValueTask.FromResult(true);
        }

        return ReadAsync(() => Array.Exists(slices.Current, slice =>
            slice.State.MayHold(id) && slices.Readers.Read(slice, id, static (reader, id) => reader.Contains(id), none: false)), cancellationToken);
    }

    public ValueTask<RecordLocation?> LocateAsync(string namespaceName, ActivationId id, CancellationToken cancellationToken)
    {
        StoreMetrics.DocumentGet();
        if (memory.TryFind(id, out var entry))
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

    public void Dispose() => _readers.Dispose();

    private RecordLocation? LocateIndexed(string namespaceName, ActivationId id)
    {
        var begun = clock.GetTimestamp();
        var current = slices.Current;
        RecordLocation? location = null;
        for (var i = current.Length - 1; i >= 0 && location is null; i--)
        {
            if (current[i].State.MayHold(id)
                && slices.Readers.Read(current[i], id, static (reader, id) => reader.Get(id), none: null) is var (owner, position)
                && string.Equals(owner, namespaceName, StringComparison.Ordinal))
            {
                location = new RecordLocation(id, position);
            }
        }

        StoreMetrics.DocumentGot(clock.GetElapsedTime(begun));
        return location;
    }

    private List<RecordLocation> Locate(ActivationQuery query)
    {
        var begun = clock.GetTimestamp();
        List<RecordLocation> locations = [.. Find(query).Select(found => new RecordLocation(found.Id, found.Position, query.WithLogs ? null : BytesBeforeLogs(found.Position)))];
        StoreMetrics.ViewQueried(clock.GetElapsedTime(begun));
        return locations;
    }

    /// <summary>
    /// Bytes of an entry up to the logs of its record; null for an entry that is read whole: a small one, or an old one whose head does not tell where the
    /// logs are.
    /// </summary>
    private int? BytesBeforeLogs(LogPosition position)
    {
        Span<byte> lead = stackalloc byte[RecordHead.LeadBytes];
        return position.Length > ReadWholeBytes && log.TryRead(position, lead, out var type) && RecordHead.BytesBeforeLogs(lead, type) is { } bytes && bytes <= position.Length
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
                page.Read(log, location);
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
        var inMemory = memory.Collect(query);
        var wanted = (int)Math.Min((long)query.Skip + query.Limit, int.MaxValue);
        var found = new List<FoundActivation>();
        var seen = new List<(long FirstSegment, LogPosition StoredUpTo)>();
        foreach (var (slice, state) in Newest(query))
        {
            if (state.IsSealed && found.Count >= wanted && wanted > 0 && found[wanted - 1].StartMs > state.GreatestStartMs)
            {
                break;
            }

            var storedUpTo = slices.Readers.Read(
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
        var inMemory = memory.Collect(query);
        var count = 0L;
        var seen = new List<(long FirstSegment, LogPosition StoredUpTo)>();
        foreach (var (slice, state) in Newest(query))
        {
            var (storedUpTo, counted) = slices.Readers.Read(slice, query, static (reader, query) => reader.Count(query), none: default);
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
        var newest = new List<(Slice Slice, SliceState State)>();
        foreach (var slice in slices.Current)
        {
            var state = slice.State;
            if (state.MayHold(query))
            {
                newest.Add((slice, state));
            }
        }

        newest.Sort(static (a, b) => a.State.IsSealed != b.State.IsSealed
            ? a.State.IsSealed.CompareTo(b.State.IsSealed)
            : b.State.GreatestStartMs.CompareTo(a.State.GreatestStartMs));
        return newest;
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

    /// <summary>Reads on the thread pool, at most as many at a time as the options allow.</summary>
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
