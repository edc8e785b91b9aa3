using Frusta.Journal;

namespace Frusta.Bus;

/// <summary>How much the embedded bus holds, and how it keeps accepted activations on disk (section <c>Bus</c>).</summary>
public sealed class BusOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Bus";

    /// <summary>Activations that wait or run at a time, in all. 1 to 10000000.</summary>
    public int MaxPendingItems { get; set; } = 100_000;

    /// <summary>Bytes of the messages that wait or run at a time, in all. 1 MiB to 64 GiB.</summary>
    public long MaxPendingBytes { get; set; } = 256L * 1024 * 1024;

    /// <summary>Percent of both bounds that one namespace may take. 1 to 100.</summary>
    public int NamespaceSharePercent { get; set; } = 50;

    /// <summary>Bytes that a message may have. 1024 to 100 MiB.</summary>
    public int MaxMessageBytes { get; set; } = 64 * 1024 * 1024;

    /// <summary>
    /// Seconds. When the server starts, an activation that came longer ago than this is not run; it gets a record that says it was interrupted. 1 to 31536000.
    /// </summary>
    public int MaxAgeSeconds { get; set; } = 24 * 3600;

    /// <summary>Bytes of one segment of the log of accepted activations. 1 MiB to 1 GiB.</summary>
    public int SegmentBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>Bytes that the log of accepted activations may take on the disk. At least three segments and twice <see cref="MaxPendingBytes"/>.</summary>
    public long MaxLogBytes { get; set; } = 1024L * 1024 * 1024;

    /// <summary>Milliseconds from an append for which no call waits until its sync to the disk begins. 1 to 10000.</summary>
    public int FlushIntervalMs { get; set; } = 100;

    /// <summary>The options of the log of accepted activations in the given folder.</summary>
    public SegmentedLogOptions AcceptedLog(string folder) => new()
    {
        Folder = folder,
        SegmentBytes = SegmentBytes,
        MaxBytes = MaxLogBytes,
        FlushInterval = TimeSpan.FromMilliseconds(FlushIntervalMs),
        Released = ReleasedSegments.Recycle,
    };

    /// <summary>A sentence on the first rule that is broken, with key, rule and value; null when all rules hold.</summary>
    public string? Validate()
    {
        const long Mebibyte = 1024 * 1024;
        (string Key, long Value, long Least, long Greatest)[] rules =
        [
            (nameof(MaxPendingItems), MaxPendingItems, 1, 10_000_000),
            (nameof(MaxPendingBytes), MaxPendingBytes, Mebibyte, 64 * 1024 * Mebibyte),
            (nameof(NamespaceSharePercent), NamespaceSharePercent, 1, 100),
            (nameof(MaxMessageBytes), MaxMessageBytes, 1024, 100 * Mebibyte),
            (nameof(MaxAgeSeconds), MaxAgeSeconds, 1, 31_536_000),
            (nameof(SegmentBytes), SegmentBytes, Mebibyte, 1024 * Mebibyte),
            (nameof(MaxLogBytes), MaxLogBytes, Math.Max(3L * SegmentBytes, 2 * MaxPendingBytes), long.MaxValue),
            (nameof(FlushIntervalMs), FlushIntervalMs, 1, 10_000),
        ];
        foreach (var (key, value, least, greatest) in rules)
        {
            if (value < least || value > greatest)
            {
                return $"{Section}:{key} must be from {least} to {greatest}, but it is {value}.";
            }
        }

        return null;
    }
}
