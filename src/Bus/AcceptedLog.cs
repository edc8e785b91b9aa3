using System.Buffers.Binary;
using System.Diagnostics;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;

namespace Frusta.Bus;

/// <summary>The log of accepted and started activations. It knows which of its segments a restart would need, and gives the others back.</summary>
/// <remarks>
/// A segment is given back when none of its entries belongs to a pending activation and the records of all its activations are on disk. A segment with
/// <see cref="EntryType.Done"/> entries waits until it is the oldest: the activations that these end may stand in any segment before it.
/// </remarks>
internal sealed class AcceptedLog
{
    private readonly Lock _gate = new();
    private readonly SegmentedLog _log;
    private readonly IFinishedActivations _finished;
    private readonly SortedDictionary<long, SegmentUse> _uses = [];
    private Task _releasing = Task.CompletedTask;
    private bool _releaseAgain;
    private bool _isRecovering = true;

    internal AcceptedLog(SegmentedLog log, IFinishedActivations finished)
    {
        _log = log;
        _finished = finished;
        var segments = log.ListSegments();
        foreach (var (number, _) in segments)
        {
            _uses[number] = new SegmentUse { IsSealed = number != log.ActiveSegment };
        }

        log.SegmentSealed = Sealed;
    }

    internal SegmentedLog Log => _log;

    /// <summary>Called when a segment is full and on disk. The callee must be quick. Set it before the first append.</summary>
    internal Action? Grew { get; set; }

    /// <summary>Appends an entry and holds its segment <paramref name="holds"/> times; false when the log refuses the entry.</summary>
    internal bool TryAppend(EntryType type, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body, int holds, out LogPosition position)
    {
        lock (_gate)
        {
            if (!_log.TryAppend((byte)type, head, body, out position))
            {
                return false;
            }

            var use = Use(position.Segment);
            use.Holds += holds;
            use.HasDone |= type == EntryType.Done;
            return true;
        }
    }

    /// <summary>Appends that the activation has started. The entry also counts its earlier starts, since the entries of these may be given back.</summary>
    internal bool TryAppendStarted(PendingActivation pending, out LogPosition position)
    {
        Span<byte> entry = stackalloc byte[24];
        pending.Id.WriteBytes(entry);
        BinaryPrimitives.WriteInt64LittleEndian(entry[16..], pending.StartedMs | ((long)pending.EarlierStarts << 48));
        return TryAppend(EntryType.Started, entry, [], holds: 1, out position);
    }

    /// <summary>Ends an accepted activation that has no record.</summary>
    internal bool TryAppendDone(ActivationId id)
    {
        Span<byte> entry = stackalloc byte[16];
        id.WriteBytes(entry);
        return TryAppend(EntryType.Done, entry, [], holds: 0, out _);
    }

    /// <summary>Completes when everything up to the position is on disk; false when the log could not write it, which it has logged.</summary>
    internal async ValueTask<bool> TrySyncAsync(LogPosition position)
    {
        try
        {
            await _log.SyncedAsync(position, CancellationToken.None);
            return true;
        }
        catch (LogRefusedException)
        {
            return false;
        }
    }

    /// <summary>Holds the segment of an entry that was read at the start.</summary>
    internal void Hold(long segment)
    {
        lock (_gate)
        {
            Use(segment).Holds++;
        }
    }

    /// <summary>Notes that a segment read at the start has <see cref="EntryType.Done"/> entries.</summary>
    internal void NoteDone(long segment)
    {
        lock (_gate)
        {
            Use(segment).HasDone = true;
        }
    }

    internal void Drop(long segment)
    {
        lock (_gate)
        {
            var isHeld = _uses.TryGetValue(segment, out var use) && use.Holds > 0;
            Debug.Assert(isHeld, "A hold is dropped once, and a segment is there as long as it is held.");
            if (isHeld && --use!.Holds == 0 && use.IsSealed)
            {
                ReleaseLater();
            }
        }
    }

    /// <summary>Gives back the segments that no entry holds. Called once, at the end of the recovery: it reads every segment, so none is given back before.</summary>
    internal Task ReleaseUnheldAsync()
    {
        lock (_gate)
        {
            _isRecovering = false;
            ReleaseLater();
            return _releasing;
        }
    }

    /// <summary>The first full segment after the given one that an entry holds; 0 when there is none.</summary>
    internal long NextHeld(long segment)
    {
        lock (_gate)
        {
            return _uses.FirstOrDefault(use => use.Key > segment && use.Value is { IsSealed: true, Holds: > 0 }).Key;
        }
    }

    /// <summary>Completes when no segment is about to be given back.</summary>
    internal Task SettledAsync()
    {
        lock (_gate)
        {
            return _releasing;
        }
    }

    private void Sealed(long segment)
    {
        lock (_gate)
        {
            var use = Use(segment);
            use.IsSealed = true;
            if (use.Holds == 0)
            {
                ReleaseLater();
            }
        }

        Grew?.Invoke();
    }

    private SegmentUse Use(long segment)
    {
        Debug.Assert(_gate.IsHeldByCurrentThread && segment > 0, "Uses are counted under the lock, of segments that exist.");
        if (!_uses.TryGetValue(segment, out var use))
        {
            use = new SegmentUse();
            _uses[segment] = use;
        }

        return use;
    }

    /// <summary>Gives segments back in the background, one pass at a time; segments that come during a pass are given back by the next one.</summary>
    private void ReleaseLater()
    {
        if (_isRecovering)
        {
            return;
        }

        if (_releasing.IsCompleted)
        {
            _releasing = Task.Run(ReleaseAsync);
        }
        else
        {
            _releaseAgain = true;
        }
    }

    private async Task ReleaseAsync()
    {
        while (true)
        {
            List<long> candidates;
            lock (_gate)
            {
                _releaseAgain = false;
                candidates = [.. _uses.Where(static use => use.Value is { IsSealed: true, Holds: 0 }).Select(static use => use.Key)];
            }

            // The records that made the entries done must be on disk before the entries go.
            try
            {
                await _finished.FlushAsync(CancellationToken.None);
            }
            catch (LogRefusedException)
            {
                return; // No segment is given back any more: the next start needs them, since records are missing on disk.
            }

            lock (_gate)
            {
                foreach (var segment in candidates)
                {
                    if (_uses[segment] is { Holds: 0 } use && (!use.HasDone || _uses.Keys.First() == segment))
                    {
                        Debug.Assert(use.IsSealed, "The active segment is not given back.");
                        _uses.Remove(segment);
                        _log.Release(segment);
                    }
                }

                if (!_releaseAgain)
                {
                    // Set under the lock, so that the next caller sees that no pass is under way and starts one.
                    _releasing = Task.CompletedTask;
                    return;
                }
            }
        }
    }

    private sealed class SegmentUse
    {
        internal int Holds { get; set; }

        internal bool IsSealed { get; set; }

        internal bool HasDone { get; set; }
    }
}
