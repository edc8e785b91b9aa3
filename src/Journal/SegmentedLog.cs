using System.Diagnostics;
using Frusta.Contracts.Buffers;
using Microsoft.Extensions.Logging;

namespace Frusta.Journal;

/// <summary>An append-only log in preallocated, memory-mapped segment files in one folder.</summary>
/// <remarks>
/// An append is one copy into the mapped segment: it survives the end of the process at once, and a power cut after the
/// next sync. Entries are published in the order of their appends. All members may be called from any thread.
/// </remarks>
public sealed class SegmentedLog : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SegmentedLogOptions _options;
    private readonly FileStream _ownership;
    private readonly SegmentSupply _supply;
    private readonly GroupCommit _commit;

    // Under _gate. Ordered by number; the last one is active. _unsynced holds what was sealed since the last sync.
    private readonly List<LogSegment> _segments;
    private readonly List<LogSegment> _unsynced = [];
    private readonly List<(LogSegment Segment, int End)> _syncing = [];
    private LogSegment? _active;
    private long _lastNumber;
    private bool _isFull;
    private bool _isClosed;
    private bool _folderChanged;
    private LogPosition _synced;

    private SegmentedLog(SegmentedLogOptions options, FileStream ownership, List<LogSegment> segments, TimeProvider clock, ILogger logger)
    {
        _options = options;
        _ownership = ownership;
        _segments = segments;
        if (segments is [.., var last])
        {
            _lastNumber = last.Number;
            if (!last.IsSealed)
            {
                last.Map();
                _active = last;
            }
        }

        _synced = End;
        _supply = new SegmentSupply(options, segments.Sum(segment => (long)segment.Size), clock, logger);
        _commit = new GroupCommit(Sync, options.FlushInterval, clock, logger);
    }

    /// <summary>Opens the log of a folder, and cuts entries at its end that a power cut left torn.</summary>
    /// <exception cref="LogDamagedException">An entry that was on disk is damaged; the message says what to do.</exception>
    /// <exception cref="IOException">The folder cannot be used, or another process has it open.</exception>
    public static SegmentedLog Open(SegmentedLogOptions options, TimeProvider clock, ILogger logger)
    {
        if (options.Validate() is { } broken)
        {
            throw new ArgumentException(broken, nameof(options));
        }

        CreateFolder(options.Folder);
        var ownership = new FileStream(Path.Combine(options.Folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1);
        try
        {
            return new SegmentedLog(options, ownership, LogRecovery.Open(options.Folder, logger), clock, logger);
        }
        catch
        {
            ownership.Dispose();
            throw;
        }
    }

    /// <summary>False while appends are refused or cannot be brought to the disk. Cheap enough to be read before every append.</summary>
    public bool Accepts => !Volatile.Read(ref _isClosed) && _commit.Failure is null && (!Volatile.Read(ref _isFull) || _supply.HasRoom());

    /// <summary>
    /// Called with the number of each segment, in order, once it takes no more entries and is on disk. It must be quick, because the
    /// thread that syncs calls it. Set it before the first append.
    /// </summary>
    public Action<long>? SegmentSealed { get; set; }

    public LogState State
    {
        get
        {
            lock (_gate)
            {
                return _isClosed ? LogState.Closed
                    : _commit.Failure is not null ? LogState.Failed
                    : _isFull && !_supply.HasRoom() ? LogState.Full
                    : LogState.Open;
            }
        }
    }

    /// <summary>Behind the last published entry: <see cref="ReadAfter"/> from here reads what is appended later.</summary>
    public LogPosition End
    {
        get
        {
            lock (_gate)
            {
                return _segments.Count == 0 ? default : new LogPosition(_segments[^1].Number, _segments[^1].End, 0);
            }
        }
    }

    /// <summary>Everything in front of this place is on disk.</summary>
    public LogPosition Synced
    {
        get
        {
            lock (_gate)
            {
                return _synced;
            }
        }
    }

    /// <summary>Number of the segment that is appended to; 0 before the first append.</summary>
    public long ActiveSegment
    {
        get
        {
            lock (_gate)
            {
                return _active?.Number ?? 0;
            }
        }
    }

    /// <summary>Bytes of all files of the log, spare ones included.</summary>
    public long TotalBytes => _supply.TotalBytes;

    /// <summary>Bytes that can be appended without another file.</summary>
    public long ReadyBytes
    {
        get
        {
            lock (_gate)
            {
                return (_active is null ? 0 : _active.Size - _active.End) + _supply.SpareBytes;
            }
        }
    }

    /// <summary>Number of syncs since the log was opened.</summary>
    public long Syncs => _commit.Syncs;

    /// <summary>Keeps at least this many bytes ready ahead of the end, as far as disk and <see cref="SegmentedLogOptions.MaxBytes"/> allow.</summary>
    public void KeepAhead(long bytes) => _supply.KeepAhead(bytes);

    /// <summary>The segments and their sizes in bytes, oldest first; the last one may still be appended to.</summary>
    public IReadOnlyList<(long Number, long Bytes)> ListSegments()
    {
        lock (_gate)
        {
            return _segments.ConvertAll(segment => (segment.Number, (long)segment.Size));
        }
    }

    /// <summary>Appends one entry with the payload <paramref name="head"/> followed by <paramref name="body"/>.</summary>
    /// <param name="type">1 to 255; the caller's own.</param>
    /// <param name="head">First part of the payload.</param>
    /// <param name="body">Second part of the payload.</param>
    /// <exception cref="LogRefusedException">There is no room, a sync failed, or the log is closed.</exception>
    public LogPosition Append(byte type, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        if (TryAppend(type, head, body, out var position))
        {
            return position;
        }

        // The state may be Open here: there was no room for this entry, but there is for smaller ones, or again.
        throw State switch
        {
            LogState.Failed => new LogRefusedException(LogState.Failed, "The journal could not be brought to the disk.", _commit.Failure),
            LogState.Closed => new LogRefusedException(LogState.Closed, "The journal is closed."),
            _ => new LogRefusedException(LogState.Full, $"No room: {_supply.Refusal}."),
        };
    }

    /// <summary>As <see cref="Append"/>; returns false instead of throwing <see cref="LogRefusedException"/>.</summary>
    public bool TryAppend(byte type, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body, out LogPosition position)
    {
        ArgumentOutOfRangeException.ThrowIfZero(type);
        var length = (long)head.Length + body.Length;
        if (length > _options.MaxEntryBytes)
        {
            throw new ArgumentException($"An entry of {length} bytes exceeds the bound of {_options.MaxEntryBytes}.", nameof(body));
        }

        var payloadCrc = EntryFormat.Crc(EntryFormat.Crc(0, head), body);
        lock (_gate)
        {
            position = default;
            if (_isClosed || _commit.Failure is not null)
            {
                return false;
            }

            var total = EntryFormat.TotalBytes((int)length);
            if ((_active is null || !_active.Fits(total)) && !TryRoll(total))
            {
                _isFull |= !_supply.NeedsItsOwn(total);
                return false;
            }

            position = _active!.Write(type, head, body, payloadCrc);
        }

        _commit.Appended();
        return true;
    }

    /// <summary>Completes when the entry is on disk.</summary>
    /// <param name="position">Of an entry, or <see cref="End"/> for everything so far.</param>
    /// <param name="cancellationToken">Looked at only before the wait, which is never longer than two syncs.</param>
    /// <exception cref="LogRefusedException">The sync failed, or the log was closed: the entry may be on disk or not.</exception>
    public ValueTask SyncedAsync(LogPosition position, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        lock (_gate)
        {
            if (position.Segment < _synced.Segment
                || (position.Segment == _synced.Segment && position.Offset + position.Length <= _synced.Offset))
            {
                return ValueTask.CompletedTask;
            }
        }

        return _commit.NextSyncAsync();
    }

    /// <summary>Reads the payload of one entry into the destination; false when its segment was released.</summary>
    /// <exception cref="LogDamagedException">The entry is not readable.</exception>
    public bool TryRead(LogPosition position, PooledBuffer destination)
    {
        if (!TryRead(position, destination.GetSpan(position.Length)[..position.Length], out _))
        {
            return false;
        }

        destination.Advance(position.Length);
        return true;
    }

    /// <summary>Reads the payload of an entry, or its first bytes; false when its segment is gone.</summary>
    /// <param name="position">Position of the entry.</param>
    /// <param name="payload">As long as the entry's payload, or shorter for its first bytes. Those are not checked: the checksum is of the whole payload.</param>
    /// <param name="type">The type that the entry was appended with.</param>
    /// <exception cref="LogDamagedException">The entry is not readable.</exception>
    public bool TryRead(LogPosition position, Span<byte> payload, out byte type)
    {
        type = 0;
        var segment = Find(position.Segment);
        if (segment is null)
        {
            return false;
        }

        var start = position.Offset - EntryFormat.HeaderBytes;
        try
        {
            if (IsEntry(segment, start, position.Length, payload, out type))
            {
                return true;
            }
        }
        catch (ObjectDisposedException)
        {
            return false;
        }

        return Find(position.Segment) == segment ? throw LogRecovery.Damaged(segment, start) : false;
    }

    private static bool IsEntry(LogSegment segment, int start, int length, Span<byte> payload, out byte type)
    {
        type = 0;
        Span<byte> header = stackalloc byte[EntryFormat.HeaderBytes];
        RandomAccess.Read(segment.File, header, start);
        if (!EntryFormat.TryReadHeader(header, segment.Identity, start, out var entry) || entry.Length != length)
        {
            return false;
        }

        var done = 0;
        for (int read; done < payload.Length; done += read)
        {
            read = RandomAccess.Read(segment.File, payload[done..], start + EntryFormat.HeaderBytes + done);
            if (read == 0)
            {
                break;
            }
        }

        type = entry.Type;
        return done == payload.Length && (done < length || EntryFormat.Crc(0, payload) == entry.PayloadCrc);
    }

    /// <summary>Reads every entry that is published now and stands behind the position; <c>default</c> reads all.</summary>
    public LogReader ReadAfter(LogPosition position)
    {
        lock (_gate)
        {
            var from = _segments.FindIndex(segment => segment.Number >= position.Segment);
            if (from < 0)
            {
                return new LogReader([]);
            }

            var segments = new (LogSegment Segment, int Start, int End)[_segments.Count - from];
            for (var i = 0; i < segments.Length; i++)
            {
                var segment = _segments[from + i];
                var start = segment.Number == position.Segment
                    ? Math.Max((int)(((long)position.Offset + position.Length + 7) & ~7L), LogSegment.HeaderBytes)
                    : LogSegment.HeaderBytes;
                segments[i] = (segment, start, segment.End);
            }

            return new LogReader(segments);
        }
    }

    /// <summary>Gives up a sealed segment with all its entries. False when it is unknown or still active, or the log is closed.</summary>
    public bool Release(long segmentNumber)
    {
        LogSegment segment;
        lock (_gate)
        {
            var index = _segments.FindIndex(each => each.Number == segmentNumber);
            if (_isClosed || index < 0 || !_segments[index].IsSealed)
            {
                return false;
            }

            segment = _segments[index];
            Debug.Assert(!ReferenceEquals(segment, _active), "The segment that is appended to is not released.");
            segment.IsReleased = true;
            _segments.RemoveAt(index);
            _unsynced.Remove(segment);
        }

        _supply.Return(segment);
        return true;
    }

    /// <summary>Syncs everything and closes the files.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_isClosed)
            {
                return;
            }

            _isClosed = true;
        }

        _commit.Dispose();
        _supply.Dispose();
        foreach (var segment in _segments)
        {
            segment.Dispose();
        }

        _ownership.Dispose();
    }

    private static void CreateFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
        }
        else
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private LogSegment? Find(long number)
    {
        lock (_gate)
        {
            for (var i = _segments.Count - 1; i >= 0; i--)
            {
                if (_segments[i].Number == number)
                {
                    return _segments[i];
                }
            }

            return null;
        }
    }

    /// <summary>Seals the active segment and begins the next one. Under the lock, once a segment.</summary>
    private bool TryRoll(long entryBytes)
    {
        Debug.Assert(_gate.IsHeldByCurrentThread, "Segments begin and end under the lock.");
        Debug.Assert(_active is null || ReferenceEquals(_active, _segments[^1]), "The last segment is the active one.");
        var next = _supply.Take(entryBytes);
        if (next is null)
        {
            return false;
        }

        var number = _lastNumber + 1;
        try
        {
            next.Begin(number, LogRecovery.PathOf(_options.Folder, number));
        }
        catch (IOException exception)
        {
            _supply.Lost(next, exception);
            return false;
        }

        if (_active is { } full)
        {
            full.Seal();
            _unsynced.Add(full);
        }

        Debug.Assert(next.Fits(entryBytes), "A segment is taken for an entry that fits in.");
        Debug.Assert(_segments.Count == 0 || _segments[^1].Number < number, "Numbers of segments rise.");
        _lastNumber = number;
        _segments.Add(next);
        _active = next;
        _folderChanged = true;
        _isFull = false;
        return true;
    }

    /// <summary>Brings the entries that are published now to the disk: file names first, then sealed segments, then the active segment.</summary>
    private void Sync()
    {
        bool folderChanged;
        lock (_gate)
        {
            folderChanged = _folderChanged;
            _folderChanged = false;
            foreach (var segment in _unsynced)
            {
                _syncing.Add((segment, segment.End));
            }

            if (_active is { } active && active.SyncedTo < active.End)
            {
                _syncing.Add((active, active.End));
            }
        }

        try
        {
            if (folderChanged)
            {
                NativeFile.SyncFolder(_options.Folder);
            }

            foreach (var (segment, end) in _syncing)
            {
                SyncSegment(segment, end);
            }
        }
        finally
        {
            _syncing.Clear();
        }
    }

    private void SyncSegment(LogSegment segment, int end)
    {
        try
        {
            NativeFile.SyncData(segment.File);
        }
        catch (ObjectDisposedException)
        {
            return; // The segment was released meanwhile: its entries need not reach the disk.
        }

        lock (_gate)
        {
            Debug.Assert(end >= segment.SyncedTo && end <= segment.End, "Only published bytes are synced, and none of them twice.");
            Debug.Assert(!_synced.IsBehind(new LogPosition(segment.Number, end, 0)), "Bytes on disk stay there: segments are synced in order.");
            segment.SyncedTo = end;
            _synced = new LogPosition(segment.Number, end, 0);
            if (!segment.IsSealed || end < segment.End || !_unsynced.Remove(segment))
            {
                return;
            }
        }

        if (_options.Released == ReleasedSegments.Delete)
        {
            _supply.Post(segment.Unmap);
        }

        SegmentSealed?.Invoke(segment.Number);
    }
}
