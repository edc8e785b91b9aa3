using System.Threading.Channels;
using Frusta.Journal;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace Frusta.Store.Activations;

/// <summary>Brings new records of the log into the indexes: a batch at each interval, or at once when many wait. It also drops records that are too old.</summary>
internal sealed partial class ActivationIndexing : IAsyncDisposable
{
    private readonly ActivationSlices _slices;
    private readonly SegmentedLog _log;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly ITimer _timer;
    private readonly Task _running;
    private int _isForced;
    private volatile bool _isFailing;
    private bool _isDamaged;

    public ActivationIndexing(ActivationSlices slices, SegmentedLog log, TimeSpan interval, TimeProvider clock, ILogger logger)
    {
        _slices = slices;
        _log = log;
        _clock = clock;
        _logger = logger;
        _timer = clock.CreateTimer(static wake => ((ChannelWriter<bool>)wake!).TryWrite(true), _wake.Writer, interval, interval);
        _running = Task.Run(RunAsync);
    }

    /// <summary>Has a batch indexed without waiting for the interval, unless the last batch failed. Costs little when it was called already.</summary>
    public void Force()
    {
        if (!_isFailing && Volatile.Read(ref _isForced) == 0 && Interlocked.Exchange(ref _isForced, 1) == 0)
        {
            _wake.Writer.TryWrite(true);
        }
    }

    /// <summary>Indexes the records on disk a last time, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        _wake.Writer.TryComplete();
        await _running;
    }

    private async Task RunAsync()
    {
        await foreach (var _ in _wake.Reader.ReadAllAsync())
        {
            await SyncIfForcedAsync();
            IndexOnce();
        }

        IndexOnce();
    }

    /// <summary>Syncs the log before a forced batch. Only entries on disk are indexed, since a power cut would otherwise leave rows without entries.</summary>
    private async ValueTask SyncIfForcedAsync()
    {
        if (Volatile.Read(ref _isForced) == 0)
        {
            return;
        }

        try
        {
            await _log.SyncedAsync(_log.End, CancellationToken.None);
        }
        catch (LogRefusedException)
        {
            // The log has logged why, and its state stops admission.
        }

        Volatile.Write(ref _isForced, 0);
    }

    private void IndexOnce()
    {
        try
        {
            if (_isFailing)
            {
                // Before anything is added: after a failure only the index file tells how far it goes.
                _slices.Reopen(_isDamaged);
                _isDamaged = false;
            }

            _slices.Repair();
            _slices.Index(_log.Synced);
            _slices.DropOld(_clock.GetUtcNow());
            if (_isFailing)
            {
                _isFailing = false;
                LogIndexesAgain();
            }
        }
        catch (Exception exception)
        {
            // Any exception is caught: if this loop ended, records would be refused for ever as soon as enough of them wait.
            _isDamaged |= exception is SqliteException failure && SqliteFile.IsDamage(failure);
            if (!_isFailing)
            {
                _isFailing = true;
                LogBatchFailed(exception);
            }
        }
    }

    [LoggerMessage(EventId = 4103, Level = LogLevel.Error,
        Message = "Activation records cannot be indexed. The server tries again at each Store:Activations:IndexInterval, and logs a line when it succeeds; until then new records are found only through memory")]
    private partial void LogBatchFailed(Exception exception);

    [LoggerMessage(EventId = 4104, Level = LogLevel.Information, Message = "Activation records are indexed again")]
    private partial void LogIndexesAgain();
}
