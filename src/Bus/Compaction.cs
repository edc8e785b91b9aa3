using System.Diagnostics;
using Frusta.Journal;

namespace Frusta.Bus;

/// <summary>Keeps an activation that is pending for long from holding a whole segment of the log all that time.</summary>
/// <remarks>
/// Once the log is more than half full, the entries of activations that are pending in its oldest segments are appended once more: *accepted*, and
/// *started* if the activation has. Until the copies are on disk the old entries stay, and a recovery takes the first it finds. At most half of the log
/// can be pending at a time (<see cref="BusOptions.MaxLogBytes"/>), so that each pass gives back more than it writes.
/// </remarks>
internal sealed class Compaction
{
    private readonly AcceptedLog _log;
    private readonly PendingTable _pending;
    private readonly long _crowdedBytes;
    private readonly Lock _gate = new();
    private Task _pass = Task.CompletedTask;

    /// <param name="log">The log; from now on it calls <see cref="Consider"/> whenever a segment is full.</param>
    /// <param name="pending">The pending activations, whose entries the log holds.</param>
    /// <param name="options">How large the log may become.</param>
    internal Compaction(AcceptedLog log, PendingTable pending, BusOptions options)
    {
        _log = log;
        _pending = pending;
        _crowdedBytes = options.MaxLogBytes / 2;
        log.Grew = Consider;
    }

    private bool IsCrowded => _log.Log.TotalBytes - _log.Log.ReadyBytes > _crowdedBytes;

    /// <summary>Completes when no pass is under way.</summary>
    internal Task SettledAsync()
    {
        lock (_gate)
        {
            return _pass;
        }
    }

    /// <summary>Begins a pass in the background if the log is crowded. Never waits.</summary>
    internal void Consider()
    {
        lock (_gate)
        {
            if (_pass.IsCompleted && IsCrowded)
            {
                _pass = Task.Run(PassAsync);
            }
        }
    }

    /// <summary>Goes over the segments that the log has now, the oldest first, as long as the log is crowded.</summary>
    private async Task PassAsync()
    {
        var end = _log.Log.ActiveSegment;
        for (var segment = _log.NextHeld(0); segment != 0 && segment < end && IsCrowded; segment = _log.NextHeld(segment))
        {
            if (!await TryMoveAsync(segment))
            {
                return; // The log takes nothing more; it has logged why.
            }

            await _log.SettledAsync();
        }
    }

    private async Task<bool> TryMoveAsync(long segment)
    {
        var old = new List<long>();
        var isWritten = true;
        foreach (var pending in _pending.AcceptedIn(segment))
        {
            isWritten = isWritten && TryMove(pending, segment, old);
        }

        if (!await _log.TrySyncAsync(_log.Log.End))
        {
            return false; // The copies may not be on disk: the old entries stay.
        }

        old.ForEach(_log.Drop);
        return isWritten;
    }

    /// <summary>Appends the entries of one activation again: *started* behind *accepted*, as a recovery expects it. False when the log refuses.</summary>
    private bool TryMove(PendingActivation pending, long segment, List<long> old)
    {
        lock (pending)
        {
            if (pending.IsFinished || pending.AcceptedSegment != segment)
            {
                return true;
            }

            using var entry = AcceptedEntry.OfAccepted(pending);
            if (!_log.TryAppend(EntryType.Accepted, entry.Span, [], holds: 1, out var accepted))
            {
                return false;
            }

            LogPosition started = default;
            if (pending.StartedMs != 0 && !_log.TryAppendStarted(pending, out started))
            {
                _log.Drop(accepted.Segment);
                return false;
            }

            Debug.Assert(started == default || started.IsBehind(accepted), "A recovery expects a start behind its acceptance.");
            Debug.Assert(accepted.Segment > segment, "A copy stands behind its original.");
            old.Add(pending.AcceptedSegment);
            if (pending.StartedSegment != 0)
            {
                old.Add(pending.StartedSegment);
            }

            pending.AcceptedSegment = accepted.Segment;
            pending.StartedSegment = started.Segment;
            return true;
        }
    }
}
