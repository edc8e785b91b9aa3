using System.Diagnostics;
using System.Globalization;
using Frusta.Journal;
using Frusta.Store.Sqlite;
using Microsoft.Extensions.Logging;

namespace Frusta.Store.Activations;

/// <summary>The slices of the finished journal: builds their indexes from the log, ends them, and drops the old ones.</summary>
/// <remarks>
/// The records are in the log, and an index can always be built from it. Rows are read back from the log, at work as at a start: while several
/// appends run at once, only the order of the log tells that everything up to a position is indexed. To read a record again from the page cache costs
/// less than a tenth of its row. One thread at a time uses this class; any thread may read <see cref="Current"/>.
/// </remarks>
internal sealed partial class ActivationSlices : IDisposable
{
    private const string Extension = ".index";
    private const string Unfinished = ".new";

    private readonly string _folder;
    private readonly SegmentedLog _log;
    private readonly ActivationStoreOptions _options;
    private readonly ILogger _logger;
    private volatile Slice[] _current = [];
    private SliceWriter? _writer;

    public ActivationSlices(string folder, SegmentedLog log, ActivationStoreOptions options, ILogger logger)
    {
        _folder = folder;
        _log = log;
        _options = options;
        _logger = logger;
        Readers = new SliceReaders(options.OpenIndexes);
        Directory.CreateDirectory(folder);
    }

    /// <summary>The slices, oldest first; an immutable snapshot.</summary>
    public Slice[] Current => _current;

    public SliceReaders Readers { get; }

    /// <summary>All entries up to this position are in an index.</summary>
    public LogPosition Stored { get; private set; }

    /// <summary>Called after each commit, once readers can see it.</summary>
    public Action<LogPosition>? Committed { get; set; }

    /// <summary>Takes over the indexes in the folder, and builds those that are missing, damaged or behind the log.</summary>
    public void Recover()
    {
        var end = _log.End;
        var states = ReadStates(end);
        for (var i = 0; i < states.Count; i++)
        {
            var (path, state) = states[i];
            IndexGap(end, state.FirstSegment - 1);
            Add(new Slice(path, state));
            Stored = state.StoredUpTo;
            if (!state.IsSealed)
            {
                _writer = new SliceWriter(path, state.FirstSegment);
                Index(end, i + 1 < states.Count ? states[i + 1].State.FirstSegment - 1 : long.MaxValue);
                if (i + 1 < states.Count)
                {
                    Seal();
                }
            }
        }

        if (_writer is null)
        {
            IndexGap(end, long.MaxValue);
        }
    }

    /// <summary>Brings all entries up to the given position into the indexes, in batches.</summary>
    public void Index(LogPosition upTo, long lastSegment = long.MaxValue)
    {
        var rows = 0;
        using var entries = _log.ReadAfter(Stored);
        foreach (var entry in entries)
        {
            if (entry.Position.IsBehind(upTo) || entry.Position.Segment > lastSegment)
            {
                break;
            }

            var head = RecordHead.Read(entry.Payload, entry.Type);
            BeginSliceFor(entry.Position, head.StartMs);
            _writer!.Add(head, entry.Type, entry.Position);
            if (++rows % _options.IndexBatch == 0)
            {
                Commit();
            }
        }

        Commit();
    }

    /// <summary>Drops the oldest slices until none is too old and the log is not too large. Only ended slices are dropped.</summary>
    public void DropOld(DateTimeOffset now)
    {
        var oldest = (now - _options.MaxAge).ToUnixTimeMilliseconds();
        while (_current is [{ State: { IsSealed: true } state } slice, ..])
        {
            var bytes = BytesOf(0, long.MaxValue);
            if (bytes <= _options.MaxBytes && state.GreatestStartMs >= oldest)
            {
                return;
            }

            slice.IsDropped = true;
            _current = _current[1..];
            foreach (var (number, _) in _log.ListSegments())
            {
                if (number >= state.FirstSegment && number <= state.LastSegment)
                {
                    _log.Release(number);
                }
            }

            Readers.Forget(slice);
            SqliteFile.Delete(slice.Path);
            LogDropped(state.FirstSegment, state.LastSegment, state.Count, bytes);
        }
    }

    public void Dispose()
    {
        _writer?.Dispose();
        Readers.Dispose();
    }

    /// <summary>Opens the index anew after a failed write, so that the next try begins at its last commit; a damaged index is deleted and begun anew.</summary>
    public void Reopen(bool damaged)
    {
        _writer?.Dispose();
        _writer = null;
        if (_current is not [.., { State.IsSealed: false } last])
        {
            return;
        }

        if (damaged)
        {
            Readers.Forget(last);
            SqliteFile.Delete(last.Path);
            last.IsDamaged = false;
        }

        _writer = new SliceWriter(last.Path, last.State.FirstSegment);
        Stored = _writer.State.StoredUpTo;
        last.State = _writer.State;
        if (last.State.IsSealed)
        {
            _writer.Dispose();
            _writer = null;
        }
    }

    /// <summary>Builds the indexes anew that were found damaged.</summary>
    public void Repair()
    {
        foreach (var slice in _current)
        {
            if (!slice.IsDamaged)
            {
                continue;
            }

            LogIndexRefused(slice.Path);
            if (slice.State.IsSealed)
            {
                Rebuild(slice);
            }
            else
            {
                Reopen(damaged: true);
            }
        }
    }

    private void Rebuild(Slice slice)
    {
        var state = slice.State;
        var path = slice.Path + Unfinished;
        SqliteFile.Delete(path);
        using (var writer = new SliceWriter(path, state.FirstSegment))
        using (var entries = _log.ReadAfter(new LogPosition(state.FirstSegment, 0, 0)))
        {
            foreach (var entry in entries)
            {
                if (entry.Position.IsBehind(state.StoredUpTo))
                {
                    break;
                }

                writer.Add(RecordHead.Read(entry.Payload, entry.Type), entry.Type, entry.Position);
            }

            writer.Seal();
            slice.State = writer.State;
        }

        SqliteFile.Delete(slice.Path);
        File.Move(path, slice.Path);
        Readers.Forget(slice);
        slice.IsDamaged = false;
    }

    /// <summary>Reads the states of the indexes that can be used, oldest first, and deletes the files of all others.</summary>
    private List<(string Path, SliceState State)> ReadStates(LogPosition end)
    {
        foreach (var path in Directory.GetFiles(_folder, "*" + Unfinished))
        {
            SqliteFile.Delete(path);
        }

        var segments = _log.ListSegments();
        var usable = new List<(string Path, SliceState State)>();
        foreach (var path in Directory.GetFiles(_folder, "*" + Extension).Order(StringComparer.Ordinal))
        {
            var state = SliceReader.TryReadState(path);
            if (state is not null && string.Equals(path, PathOf(state.FirstSegment), StringComparison.Ordinal) && !state.StoredUpTo.IsBehind(end)
                && segments.Any(segment => segment.Number >= state.FirstSegment && segment.Number <= state.LastSegment))
            {
                usable.Add((path, state));
                continue;
            }

            LogIndexRefused(path);
            SqliteFile.Delete(path);
        }

        return usable;
    }

    /// <summary>Makes slices of the segments between the last slice and the given segment, when there are any.</summary>
    private void IndexGap(LogPosition end, long lastSegment)
    {
        var first = _current.Length == 0 ? 0 : _current[^1].State.LastSegment + 1;
        if (!_log.ListSegments().Any(segment => segment.Number >= first && segment.Number <= lastSegment))
        {
            return;
        }

        Stored = new LogPosition(first, 0, 0);
        Index(end, lastSegment);
        if (lastSegment != long.MaxValue)
        {
            Seal();
        }
    }

    /// <summary>Ends the slice when it is large or old enough and the entry begins a segment, and begins the next one.</summary>
    private void BeginSliceFor(LogPosition position, long startMs)
    {
        if (_writer is { State: var state } && position.Segment != state.LastSegment
            && (BytesOf(state.FirstSegment, state.LastSegment) >= _options.SliceBytes || startMs - state.LeastStartMs >= _options.SliceTime.TotalMilliseconds))
        {
            Commit();
            Seal();
        }

        if (_writer is null)
        {
            var path = PathOf(position.Segment);
            SqliteFile.Delete(path);
            _writer = new SliceWriter(path, position.Segment);
            Add(new Slice(path, _writer.State));
        }
    }

    private void Commit()
    {
        if (_writer is null)
        {
            return;
        }

        _writer.Commit();
        Debug.Assert(!_current[^1].State.IsSealed, "The last slice is the one that is written.");
        Debug.Assert(!Stored.IsBehind(_writer.State.StoredUpTo), "An index never goes back behind a position that readers were told.");
        Stored = _writer.State.StoredUpTo;
        _current[^1].State = _writer.State;
        Committed?.Invoke(Stored);
    }

    private void Seal()
    {
        if (_writer is null)
        {
            return;
        }

        _writer.Seal();
        _current[^1].State = _writer.State;
        _writer.Dispose();
        _writer = null;
    }

    private void Add(Slice slice)
    {
        Debug.Assert(_current.Length == 0 || _current[^1].State.LastSegment < slice.State.FirstSegment, "Slices follow each other and share no segment.");
        _current = [.. _current, slice];
    }

    private long BytesOf(long firstSegment, long lastSegment)
    {
        var bytes = 0L;
        foreach (var (number, size) in _log.ListSegments())
        {
            bytes += number >= firstSegment && number <= lastSegment ? size : 0;
        }

        return bytes;
    }

    private string PathOf(long firstSegment) =>
        Path.Combine(_folder, firstSegment.ToString("d16", CultureInfo.InvariantCulture) + Extension);

    [LoggerMessage(EventId = 4101, Level = LogLevel.Information, Message = "Dropped the activation records of segments {First} to {Last}: {Count} records, the log had {Bytes} bytes")]
    private partial void LogDropped(long first, long last, long count, long bytes);

    [LoggerMessage(EventId = 4102, Level = LogLevel.Warning, Message = "The index {Path} does not fit the log and is built anew from it")]
    private partial void LogIndexRefused(string path);
}
