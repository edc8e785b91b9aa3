using System.Buffers.Binary;
using System.Diagnostics;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;

namespace Frusta.Bus;

/// <summary>The log of accepted and started activations, and which of its segments still matter.</summary>
/// <remarks>
/// A segment is given back when none of its entries belongs to a pending activation and every record that made them done
/// is on disk. One with <see cref="EntryType.Done"/> entries waits until it is the oldest: what it ends may stand in any
/// segment before it.
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

    /// <summary>Called when a segment is full and on disk. It must be quick. Set it before the first append.</summary>
    internal Action? Grew { get; set; }

    /// <summary>Appends an entry and holds its segment so many times; false when the log refuses.</summary>
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

    /// <summary>Says that it has started, and how often before: earlier entries that said so may be given up.</summary>
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

    /// <summary>Completes when everything up to the position is on disk; false when the log could not bring it there, and has said why.</summary>
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

    /// <summary>Notes that a segment read at the start has entries that end others.</summary>
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

    /// <summary>Gives back what nobody holds; called once at the end of the recovery, which reads every segment and so keeps all until then.</summary>
    internal Task ReleaseUnheldAsync()
    {
        lock (_gate)
        {
            _isRecovering = false;
            ReleaseLater();
            return _releasing;
        }
    }

    /// <summary>The first full segment behind the given one that an entry holds; 0 when there is none.</summary>
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

    /// <summary>Once a segment: one release at a time, the next one takes what came meanwhile.</summary>
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
                return; // Nothing is given back any more: the next start needs it.
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
                    // Completed under the lock as far as the next caller can see: it starts another.
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
