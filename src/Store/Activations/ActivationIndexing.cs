using System.Threading.Channels;
using Frusta.Journal;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace Frusta.Store.Activations;

/// <summary>Keeps the indexes behind the log: a batch at each interval, at once when much waits, and retention in between.</summary>
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

    public ActivationIndexing(ActivationSlices slices, SegmentedLog log, TimeSpan interval, TimeProvider clock, ILogger logger)
    {
        _slices = slices;
        _log = log;
        _clock = clock;
        _logger = logger;
        _timer = clock.CreateTimer(static wake => ((ChannelWriter<bool>)wake!).TryWrite(true), _wake.Writer, interval, interval);
        _running = Task.Run(RunAsync);
    }

    /// <summary>True while batches fail; the next one is tried all the same.</summary>
    public bool IsFailing => _isFailing;

    /// <summary>Does not wait for the interval. Cheap when it was called already.</summary>
    public void Force()
    {
        if (Volatile.Read(ref _isForced) == 0 && Interlocked.Exchange(ref _isForced, 1) == 0)
        {
            _wake.Writer.TryWrite(true);
        }
    }

    /// <summary>Indexes what is on disk, a last time, and ends.</summary>
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

    /// <summary>Only what is on disk is indexed, or a power cut would leave rows without entries; so a forced batch is synced first.</summary>
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
            // The log has said so itself, and its state stops admission.
        }

        Volatile.Write(ref _isForced, 0);
    }

    private void IndexOnce()
    {
        try
        {
            _slices.Repair();
            _slices.Index(_log.Synced);
            _slices.DropOld(_clock.GetUtcNow());
            _isFailing = false;
        }
        catch (Exception exception) when (exception is SqliteException or IOException or LogDamagedException)
        {
            _isFailing = true;
            LogErrorBatchFailed(exception);
            Reopen(exception is SqliteException failure && SqliteFile.IsDamage(failure));
        }
    }

    private void Reopen(bool damaged)
    {
        try
        {
            _slices.Reopen(damaged);
        }
        catch (SqliteException exception)
        {
            LogErrorBatchFailed(exception);
        }
    }

    [LoggerMessage(EventId = 4103, Level = LogLevel.Error, Message = "A batch of activation records could not be indexed; it is tried again")]
    private partial void LogErrorBatchFailed(Exception exception);
}
