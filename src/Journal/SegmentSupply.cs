using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Frusta.Journal;

/// <summary>Has the next segment ready before it is needed, and takes released ones back, on a thread of its own.</summary>
/// <remarks>A segment for one large entry is made on the caller's thread.</remarks>
internal sealed partial class SegmentSupply : IDisposable
{
    internal const string SpareExtension = ".spare";

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _making = new();
    private readonly object _gate = new();
    private readonly Queue<LogSegment> _spares = new();
    private readonly Queue<Action> _work = new();
    private readonly SegmentedLogOptions _options;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private int _sparesWanted = 1;
    private long _totalBytes;
    private string? _failure;
    private long? _failedAt;
    private string _refusal = "";
    private bool _hasRefusedLarge;
    private long _files;
    private bool _closing;

    internal SegmentSupply(SegmentedLogOptions options, long existingBytes, TimeProvider clock, ILogger logger)
    {
        _options = options;
        _totalBytes = existingBytes;
        _clock = clock;
        _logger = logger;
        _thread = new Thread(Run) { IsBackground = true, Name = "journal supply" };
        _thread.Start();
    }

    /// <summary>Why the last segment could not be made, as part of a sentence; empty before.</summary>
    internal string Refusal => Volatile.Read(ref _refusal);

    /// <summary>Bytes of all files, spare ones included.</summary>
    internal long TotalBytes => Interlocked.Read(ref _totalBytes);

    /// <summary>Bytes in spare segments.</summary>
    internal long SpareBytes
    {
        get
        {
            lock (_gate)
            {
                return (long)_spares.Count * _options.SegmentBytes;
            }
        }
    }

    /// <summary>Has spare segments of at least this many bytes kept ready.</summary>
    internal void KeepAhead(long bytes)
    {
        var wanted = (int)Math.Min(1 + (bytes + _options.SegmentBytes - 1) / _options.SegmentBytes, int.MaxValue);
        lock (_gate)
        {
            if (_sparesWanted != wanted)
            {
                _sparesWanted = wanted;
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>True for an entry that no spare segment can hold.</summary>
    internal bool NeedsItsOwn(long entryBytes) => SizeFor(entryBytes) > _options.SegmentBytes;

    /// <summary>A segment that the entry fits in; null when there is no room for another. Waits for a segment that is being made.</summary>
    internal LogSegment? Take(long entryBytes)
    {
        if (NeedsItsOwn(entryBytes))
        {
            return TakeItsOwn((int)SizeFor(entryBytes));
        }

        lock (_gate)
        {
            while (_spares.Count == 0)
            {
                // A failure of more than a second ago says nothing of now: then another try is waited for.
                if (_closing || UntilTry() > TimeSpan.Zero)
                {
                    return null;
                }

                Monitor.PulseAll(_gate);
                Monitor.Wait(_gate);
            }

            var spare = _spares.Dequeue();
            Monitor.PulseAll(_gate);
            return spare;
        }
    }

    /// <summary>False when there is no spare segment because the last one could not be made; another try is made once a second.</summary>
    internal bool HasRoom()
    {
        lock (_gate)
        {
            return _failedAt is null || _spares.Count > 0;
        }
    }

    /// <summary>Takes a released segment back, as a spare one or as free space.</summary>
    internal void Return(LogSegment segment) => Post(() =>
    {
        bool recycle;
        lock (_gate)
        {
            recycle = _options.Released == ReleasedSegments.Recycle && segment.Size == _options.SegmentBytes
                && _spares.Count < _sparesWanted + 1 && !_closing;
        }

        try
        {
            if (recycle)
            {
                var spare = segment.Reuse(NextSparePath());
                lock (_gate)
                {
                    _spares.Enqueue(spare);
                    Succeeded();
                }
            }
            else
            {
                segment.Dispose();
                File.Delete(segment.Path);
                var left = Interlocked.Add(ref _totalBytes, -segment.Size);
                Debug.Assert(left >= 0, "No file is given back twice.");
                Refill();
            }
        }
        catch (IOException exception)
        {
            LogReturnFailed(_logger, exception, segment.Path);
        }
    });

    /// <summary>Gives up a spare segment that could not get its name.</summary>
    internal void Lost(LogSegment segment, IOException exception)
    {
        Failed($"the journal '{_options.Folder}' cannot name another segment: {exception.Message}");
        segment.IsReleased = true;
        Return(segment);
    }

    /// <summary>Has work done on the supply's thread, in the order of the calls.</summary>
    internal void Post(Action work)
    {
        lock (_gate)
        {
            _work.Enqueue(work);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Ends the thread and deletes the spare files.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closing = true;
            Monitor.PulseAll(_gate);
        }

        _thread.Join();
        foreach (var spare in _spares)
        {
            spare.Dispose();
            File.Delete(spare.Path);
        }

        _spares.Clear();
    }

    private void Run()
    {
        while (true)
        {
            Action? work;
            lock (_gate)
            {
                while (!_work.TryDequeue(out work))
                {
                    if (_closing)
                    {
                        return;
                    }

                    if ((_failure is not null || _spares.Count < _sparesWanted) && UntilTry() <= TimeSpan.Zero)
                    {
                        work = Refill;
                        break;
                    }

                    // While room is missing, this thread tries once a second: no append asks before a segment is full.
                    Monitor.Wait(_gate, _failure is null ? Timeout.InfiniteTimeSpan : UntilTry() + TimeSpan.FromMilliseconds(1));
                }
            }

            work();
        }
    }

    /// <summary>Time until the next try to make a spare segment: after a failure <see cref="RetryInterval"/> passes first. Under the lock.</summary>
    private TimeSpan UntilTry() => _failedAt is { } failedAt ? RetryInterval - _clock.GetElapsedTime(failedAt) : TimeSpan.Zero;

    private void Refill()
    {
        lock (_gate)
        {
            if (_spares.Count >= _sparesWanted || _closing)
            {
                Succeeded();
                return;
            }
        }

        if (TryMake(_options.SegmentBytes, zero: _options.Released == ReleasedSegments.Recycle, out var refusal) is not { } spare)
        {
            Failed(refusal);
            return;
        }

        Debug.Assert(spare.Size == _options.SegmentBytes, "A spare segment fits in anywhere.");
        lock (_gate)
        {
            _spares.Enqueue(spare);
            Succeeded();
        }
    }

    /// <summary>Makes a segment for one large entry. If there is no room for it, the supply has not failed: other entries have the spare segments.</summary>
    private LogSegment? TakeItsOwn(int bytes)
    {
        if (TryMake(bytes, zero: false, out var refusal) is { } own)
        {
            _hasRefusedLarge = false;
            return own;
        }

        Volatile.Write(ref _refusal, refusal);
        if (!_hasRefusedLarge)
        {
            _hasRefusedLarge = true;
            LogNoRoomForLarge(_logger, refusal);
        }

        return null;
    }

    private static long SizeFor(long entryBytes) => LogSegment.HeaderBytes + entryBytes + LogSegment.SealBytes;

    private LogSegment? TryMake(int bytes, bool zero, out string refusal)
    {
        refusal = "";
        lock (_making)
        {
            if (Interlocked.Read(ref _totalBytes) + bytes > _options.MaxBytes)
            {
                refusal = $"the journal '{_options.Folder}' has reached its {_options.MaxBytes} bytes";
                return null;
            }

            try
            {
                var segment = LogSegment.Create(NextSparePath(), bytes, zero);
                Interlocked.Add(ref _totalBytes, bytes);
                return segment;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                refusal = $"the journal '{_options.Folder}' cannot have another segment of {bytes} bytes: {exception.Message}";
                return null;
            }
        }
    }

    private string NextSparePath() => Path.Combine(
        _options.Folder, Interlocked.Increment(ref _files).ToString(CultureInfo.InvariantCulture) + SpareExtension);

    private void Failed(string reason)
    {
        bool isNew;
        Volatile.Write(ref _refusal, reason);
        lock (_gate)
        {
            isNew = _failure is null;
            _failure = reason;
            _failedAt = _clock.GetTimestamp();
            Monitor.PulseAll(_gate);
        }

        if (isNew)
        {
            LogNoRoom(_logger, reason);
        }
    }

    /// <summary>The last try did not fail. A failure has ended once there are as many spares as are wanted. Under the lock.</summary>
    private void Succeeded()
    {
        Debug.Assert(Monitor.IsEntered(_gate), "Under the lock.");
        _failedAt = null;
        if (_failure is not null && _spares.Count >= _sparesWanted)
        {
            _failure = null;
            LogRoomAgain(_logger, _options.Folder);
        }

        Monitor.PulseAll(_gate);
    }

    [LoggerMessage(2001, LogLevel.Error, "No room for the next segment: {Reason}. Appends are refused once the present one is full. Free space on the disk, or raise the bound; room is looked for once a second.")]
    private static partial void LogNoRoom(ILogger logger, string reason);

    [LoggerMessage(2002, LogLevel.Information, "The journal {Folder} has room again.")]
    private static partial void LogRoomAgain(ILogger logger, string folder);

    [LoggerMessage(2005, LogLevel.Error, "No room for an entry that needs a segment of its own: {Reason}. The entry was refused; this is logged again only after such an entry had room.")]
    private static partial void LogNoRoomForLarge(ILogger logger, string reason);

    [LoggerMessage(2003, LogLevel.Error, "The released segment {Path} could be neither used again nor deleted. Its file stays on the disk.")]
    private static partial void LogReturnFailed(ILogger logger, Exception exception, string path);
}
