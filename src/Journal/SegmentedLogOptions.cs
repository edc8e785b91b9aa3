namespace Frusta.Journal;

/// <summary>How the file of a released segment ends.</summary>
public enum ReleasedSegments
{
    /// <summary>It is used again: overwriting costs no allocation and syncs fastest.</summary>
    Recycle,

    /// <summary>It is deleted, which frees its space.</summary>
    Delete,
}

/// <summary>How one log is kept.</summary>
public sealed record SegmentedLogOptions
{
    /// <summary>Folder of the log; created with 0700. It belongs to one process at a time.</summary>
    public required string Folder { get; init; }

    /// <summary>Bytes of one segment. 64 KiB to 1 GiB.</summary>
    public int SegmentBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Bytes. Greatest payload of one entry. An entry that exceeds a segment gets a segment of its own size. At most 1 GiB.</summary>
    public int MaxEntryBytes { get; init; } = 128 * 1024 * 1024;

    /// <summary>Bytes that all segments, the spare ones included, may take. At least three segments.</summary>
    public long MaxBytes { get; init; } = 64L * 1024 * 1024 * 1024;

    /// <summary>Greatest time from an append until its sync begins, where no caller waits for the sync. Above 0, at most 10 s.</summary>
    public TimeSpan FlushInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    public ReleasedSegments Released { get; init; } = ReleasedSegments.Delete;

    /// <summary>The first rule that is broken; null when all hold.</summary>
    public string? Validate()
    {
        const int Greatest = 1024 * 1024 * 1024;
        return SegmentBytes is < 64 * 1024 or > Greatest ? $"SegmentBytes must be from 65536 to {Greatest}, but it is {SegmentBytes}."
            : MaxEntryBytes is < 1 or > Greatest ? $"MaxEntryBytes must be from 1 to {Greatest}, but it is {MaxEntryBytes}."
            : MaxBytes < 3L * SegmentBytes ? $"MaxBytes must be at least three segments ({3L * SegmentBytes}), but it is {MaxBytes}."
            : FlushInterval <= TimeSpan.Zero || FlushInterval > TimeSpan.FromSeconds(10) ? $"FlushInterval must be above 0 and at most 10 s, but it is {FlushInterval}."
            : null;
    }
}
