namespace Frusta.Store;

/// <summary>How entities and activation records are kept (section <c>Store</c>).</summary>
public sealed class StoreOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Store";

    public EntityStoreOptions Entities { get; set; } = new();

    public ActivationStoreOptions Activations { get; set; } = new();

    /// <summary>A sentence on the first rule that is broken, with key, rule and value; null when all rules hold.</summary>
    public string? Validate() => Entities.Validate() ?? Activations.Validate();

    internal static string? Check(string section, ReadOnlySpan<(string Key, long Value, long Least, long Greatest)> rules)
    {
        foreach (var (key, value, least, greatest) in rules)
        {
            if (value < least || value > greatest)
            {
                return $"{section}:{key} must be from {least} to {greatest}, but it is {value}.";
            }
        }

        return null;
    }
}

/// <summary>Bounds of the store of actions, packages, triggers and rules (section <c>Store:Entities</c>).</summary>
public sealed class EntityStoreOptions
{
    private const string Section = StoreOptions.Section + ":Entities";

    /// <summary>Connections that read at a time. 1 to 64.</summary>
    public int Readers { get; set; } = 4;

    /// <summary>Writes of at most 64 KiB that wait for the one writer, and as many larger ones beside these; further writes are refused. 1 to 100000.</summary>
    public int QueuedWrites { get; set; } = 1024;

    /// <summary>Bytes that waiting writes of more than 64 KiB hold, including code; a write that would pass this is refused. 64 MiB to 16 GiB.</summary>
    public long QueuedBytes { get; set; } = 512L * 1024 * 1024;

    /// <summary>Writes that share one commit. 1 to 10000.</summary>
    public int GroupSize { get; set; } = 256;

    /// <summary>
    /// Time for which the code of an action is kept after it was updated or deleted, for calls that came before and wait; after that it is deleted with the
    /// next writes. 0 to 1 day.
    /// </summary>
    public TimeSpan ReplacedCodeAge { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Bytes of all code that is kept after an update or a deletion; beyond this the oldest is deleted before its time. A call whose code is gone runs the
    /// action as it is then. 0 to 1 TiB.
    /// </summary>
    public long ReplacedCodeBytes { get; set; } = 256L << 20;

    internal string? Validate() => StoreOptions.Check(
        Section,
        [
            (nameof(Readers), Readers, 1, 64),
            (nameof(QueuedWrites), QueuedWrites, 1, 100_000),
            (nameof(QueuedBytes), QueuedBytes, 64L << 20, 16L << 30),
            (nameof(GroupSize), GroupSize, 1, 10_000),
            (nameof(ReplacedCodeBytes), ReplacedCodeBytes, 0, 1L << 40),
        ]) ?? (ReplacedCodeAge < TimeSpan.Zero || ReplacedCodeAge > TimeSpan.FromDays(1)
            ? $"{Section}:{nameof(ReplacedCodeAge)} must be from 00:00:00 to 1.00:00:00, but it is {ReplacedCodeAge}."
            : null);
}

/// <summary>Bounds of the store of activation records (section <c>Store:Activations</c>).</summary>
public sealed class ActivationStoreOptions
{
    private const string Section = StoreOptions.Section + ":Activations";

    /// <summary>Age, counted from its newest record, at which a slice is dropped; OpenWhisk's own clean-up keeps 7 days. 1 min to 3650 days.</summary>
    public TimeSpan MaxAge { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Bytes of records at which the oldest slices are dropped. At least four segments, at most 16 TiB.</summary>
    public long MaxBytes { get; set; } = 32L << 30;

    /// <summary>Bytes of one segment of the log. 64 KiB to 1 GiB.</summary>
    public int SegmentBytes { get; set; } = 64 << 20;

    /// <summary>Bytes of the log after which a slice ends, at the end of a segment. 64 KiB to 64 GiB, at most <see cref="MaxBytes"/>: only ended slices are dropped.</summary>
    public long SliceBytes { get; set; } = 512L << 20;

    /// <summary>Time after which a slice ends, at the end of a segment. 1 s to 365 days.</summary>
    public TimeSpan SliceTime { get; set; } = TimeSpan.FromHours(12);

    /// <summary>Bytes that a record may have, including its logs. 64 KiB to 1 GiB.</summary>
    public int MaxRecordBytes { get; set; } = 128 << 20;

    /// <summary>Time from the append of a record for which no call waits to its sync to the disk. 1 ms to 10 s.</summary>
    public TimeSpan FlushInterval { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Records that may wait in memory to be indexed (about 100 bytes each); further records are refused. 1024 to 10000000.</summary>
    public int UnindexedRecords { get; set; } = 262_144;

    /// <summary>Time between two batches into the index. 1 ms to 60 s.</summary>
    public TimeSpan IndexInterval { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Records of one batch; as soon as so many wait, a batch is indexed before its interval. 16 to 100000.</summary>
    public int IndexBatch { get; set; } = 8192;

    /// <summary>Latest records whose ids are kept in memory, so that a second record of one id is refused. 1024 to 10000000.</summary>
    public int RecentIds { get; set; } = 131_072;

    /// <summary>Gets, lists and counts that read indexes at a time. 1 to 64.</summary>
    public int Readers { get; set; } = 4;

    /// <summary>Connections to indexes of slices that stay open between reads. 1 to 1000.</summary>
    public int OpenIndexes { get; set; } = 64;

    internal string? Validate() => StoreOptions.Check(
        Section,
        [
            (nameof(MaxAge) + " (seconds)", (long)MaxAge.TotalSeconds, 60, 3650L * 86_400),
            (nameof(MaxBytes), MaxBytes, 4L * SegmentBytes, 16L << 40),
            (nameof(SegmentBytes), SegmentBytes, 64 << 10, 1 << 30),
            (nameof(SliceBytes) + " (at most " + nameof(MaxBytes) + ")", SliceBytes, 64 << 10, Math.Min(64L << 30, MaxBytes)),
            (nameof(SliceTime) + " (seconds)", (long)SliceTime.TotalSeconds, 1, 365L * 86_400),
            (nameof(MaxRecordBytes), MaxRecordBytes, 64 << 10, 1 << 30),
            (nameof(FlushInterval) + " (milliseconds)", (long)FlushInterval.TotalMilliseconds, 1, 10_000),
            (nameof(UnindexedRecords), UnindexedRecords, 1024, 10_000_000),
            (nameof(IndexInterval) + " (milliseconds)", (long)IndexInterval.TotalMilliseconds, 1, 60_000),
            (nameof(IndexBatch), IndexBatch, 16, 100_000),
            (nameof(RecentIds), RecentIds, 1024, 10_000_000),
            (nameof(Readers), Readers, 1, 64),
            (nameof(OpenIndexes), OpenIndexes, 1, 1000),
        ]);
}
