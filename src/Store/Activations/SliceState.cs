using System.Diagnostics;
using Frusta.Contracts.Names;
using Frusta.Journal;

namespace Frusta.Store.Activations;

/// <summary>The state of one index at a commit: its segments, and the bounds that tell a reader whether to open it.</summary>
/// <param name="FirstSegment">Number of the first segment of the slice.</param>
/// <param name="StoredUpTo">The last entry that is in the index; its offset is 0 when there is none.</param>
/// <param name="IsSealed">True when nothing is added any more.</param>
/// <param name="Count">Records in the index.</param>
/// <param name="LeastStartMs">Least start; greater than <paramref name="GreatestStartMs"/> when there is no record.</param>
/// <param name="GreatestStartMs">Greatest start.</param>
/// <param name="LeastCreatedMs">Least creation time in the ids that carry one.</param>
/// <param name="GreatestCreatedMs">Greatest creation time in the ids that carry one.</param>
/// <param name="HasOtherIds">True when there are ids that do not carry their creation time.</param>
internal sealed record SliceState(
    long FirstSegment,
    LogPosition StoredUpTo,
    bool IsSealed,
    long Count,
    long LeastStartMs,
    long GreatestStartMs,
    long LeastCreatedMs,
    long GreatestCreatedMs,
    bool HasOtherIds)
{
    public static SliceState Empty(long firstSegment) => new(
        firstSegment, new LogPosition(firstSegment, 0, 0), IsSealed: false, 0, long.MaxValue, long.MinValue, long.MaxValue, long.MinValue, HasOtherIds: false);

    public long LastSegment => StoredUpTo.Segment;

    public bool MayHold(ActivationId id) => HasCreationTime(id)
        ? id.CreatedMs >= LeastCreatedMs && id.CreatedMs <= GreatestCreatedMs
        : HasOtherIds;

    public bool MayHold(ActivationQuery query) =>
        (query.SinceMs ?? long.MinValue) <= GreatestStartMs && (query.UptoMs ?? long.MaxValue) >= LeastStartMs;

    public SliceState With(ActivationId id, long startMs, LogPosition position)
    {
        Debug.Assert(!IsSealed && position.IsBehind(StoredUpTo), "Rows are added in the order of the log, each once, to a slice that is not sealed.");
        var timed = HasCreationTime(id);
        return this with
        {
            StoredUpTo = position,
            Count = Count + 1,
            LeastStartMs = Math.Min(LeastStartMs, startMs),
            GreatestStartMs = Math.Max(GreatestStartMs, startMs),
            LeastCreatedMs = timed ? Math.Min(LeastCreatedMs, id.CreatedMs) : LeastCreatedMs,
            GreatestCreatedMs = timed ? Math.Max(GreatestCreatedMs, id.CreatedMs) : GreatestCreatedMs,
            HasOtherIds = HasOtherIds || !timed,
        };
    }

    /// <summary>True for a UUID of version 7; OpenWhisk's own ids are of version 4.</summary>
    private static bool HasCreationTime(ActivationId id) => (id.High & 0xf000) == 0x7000 && id.Low >> 62 == 2;
}
