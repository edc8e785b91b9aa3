using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Frusta.Journal;

/// <summary>Opens the segments that an earlier process left, and cuts entries that were never whole on disk.</summary>
/// <remarks>
/// A process that dies leaves at most one torn entry, the last. A power cut may leave any part of the bytes that were not synced, also a whole
/// entry behind a torn one: neither was acknowledged to a caller, and both are cut. But each entry says how far its segment was synced when
/// it was appended. If an entry says that a bad one before it was on disk, the bad one was damaged afterwards, and only a person can decide
/// what to do. Segments that are surely on disk are not read: their seals say where they end.
/// </remarks>
internal static partial class LogRecovery
{
    internal const string Extension = ".seg";

    internal static string PathOf(string folder, long number) =>
        Path.Combine(folder, number.ToString("D16", CultureInfo.InvariantCulture) + Extension);

    /// <summary>The segments in order; all are sealed except perhaps the last.</summary>
    /// <exception cref="LogDamagedException">An entry that was on disk is damaged.</exception>
    internal static List<LogSegment> Open(string folder, ILogger logger)
    {
        var files = FindFiles(folder);
        var surelyOnDisk = CountSurelyOnDisk(files);
        var segments = new List<LogSegment>(files.Count);
        try
        {
            for (var i = 0; i < files.Count; i++)
            {
                var segment = LogSegment.TryOpen(files[i].Path, files[i].Number);
                if (segment is null || !IsWhole(segment, isLast: i == files.Count - 1, mayTrustSeal: i < surelyOnDisk))
                {
                    Cut(folder, files.GetRange(i, files.Count - i), segment, logger);
                    if (segment is not null)
                    {
                        segments.Add(segment);
                    }

                    break;
                }

                segments.Add(segment);
            }

            foreach (var segment in segments)
            {
                NativeFile.SyncData(segment.File);
                segment.SyncedTo = segment.End;
            }

            NativeFile.SyncFolder(folder);
            return segments;
        }
        catch
        {
            segments.ForEach(segment => segment.Dispose());
            throw;
        }
    }

    internal static LogDamagedException Damaged(LogSegment segment, int offset) => new(
        $"The journal '{segment.Path}' is damaged at byte {offset}: the entry there was on disk and is not readable any more. " +
        "Check the disk, and restore the folder from a copy if there is one. To go on without the entries from there on, " +
        "move this file and all with higher numbers in its folder to another place, and start again.");

    private static List<(long Number, string Path)> FindFiles(string folder)
    {
        var files = new List<(long Number, string Path)>();
        foreach (var path in Directory.EnumerateFiles(folder))
        {
            if (path.EndsWith(SegmentSupply.SpareExtension, StringComparison.Ordinal))
            {
                File.Delete(path);
            }
            else if (path.EndsWith(Extension, StringComparison.Ordinal)
                && long.TryParse(Path.GetFileNameWithoutExtension(path), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                files.Add((number, path));
            }
        }

        files.Sort(static (left, right) => left.Number.CompareTo(right.Number));
        return files;
    }

    /// <summary>
    /// How many segments, from the oldest on, are surely whole on disk. They are when the seal of a later segment says that this one was synced
    /// in part, because segments are synced in order. A segment's own seal proves nothing: the kernel may have written its page long before the others.
    /// </summary>
    private static int CountSurelyOnDisk(List<(long Number, string Path)> files)
    {
        for (var i = files.Count - 1; i > 0; i--)
        {
            using var later = LogSegment.TryOpen(files[i].Path, files[i].Number);
            if (later is not null && later.TryFindSeal(out _, out var syncedTo) && syncedTo > 0)
            {
                return i;
            }
        }

        return 0;
    }

    /// <summary>Finds the end of a segment. False when it has neither a seal nor, as the last segment, no header behind its last good entry.</summary>
    private static bool IsWhole(LogSegment segment, bool isLast, bool mayTrustSeal)
    {
        if (mayTrustSeal && segment.TryFindSeal(out var sealedEnd, out _))
        {
            segment.End = sealedEnd;
            segment.IsSealed = true;
            return true;
        }

        using var reader = new SegmentReader(segment, LogSegment.HeaderBytes, segment.Size);
        while (reader.TryRead())
        {
            if (reader.Header.Type == EntryFormat.Seal)
            {
                segment.End = reader.Offset;
                segment.IsSealed = true;
                return true;
            }
        }

        segment.End = reader.Offset;
        return isLast && !reader.TryFindHeader(out _);
    }

    /// <summary>
    /// Makes sure that no bytes behind the last good entry are ever taken for an entry: wipes the headers there and deletes later segments.
    /// Throws, and changes nothing, when one of these headers proves that the damage came after a sync.
    /// </summary>
    private static void Cut(string folder, List<(long Number, string Path)> files, LogSegment? first, ILogger logger)
    {
        var wipe = new List<int>();
        if (first is not null)
        {
            wipe.Add(first.End);
            using var reader = new SegmentReader(first, first.End, first.Size);
            while (reader.TryFindHeader(out var header))
            {
                if (header.SyncedTo > first.End)
                {
                    first.Dispose();
                    throw Damaged(first, first.End);
                }

                wipe.Add(reader.Offset);
            }
        }

        foreach (var (number, path) in files.Skip(1))
        {
            using var later = LogSegment.TryOpen(path, number);
            if (later is null)
            {
                continue;
            }

            using var reader = new SegmentReader(later, LogSegment.HeaderBytes - 8, later.Size);
            while (reader.TryFindHeader(out var header))
            {
                if (header.SyncedTo > 0)
                {
                    first?.Dispose();
                    throw first is not null ? Damaged(first, first.End) : new LogDamagedException(
                        $"The journal '{files[0].Path}' has no readable header, though it was on disk. Check the disk, and restore the " +
                        "folder from a copy if there is one; or move this file to another place, and start again without its entries.");
                }
            }
        }

        Span<byte> zeros = stackalloc byte[EntryFormat.HeaderBytes];
        zeros.Clear();
        foreach (var offset in wipe)
        {
            if (offset + zeros.Length <= first!.Size)
            {
                RandomAccess.Write(first.File, zeros, offset);
            }
        }

        LogCut(logger, folder, files[0].Number, first?.End ?? 0, Math.Max(wipe.Count - 1, 0), files.Count - 1);
        foreach (var (_, path) in first is null ? files : files.Skip(1))
        {
            File.Delete(path);
        }
    }

    [LoggerMessage(2000, LogLevel.Warning, "Journal {Folder}: segment {Segment} was cut at byte {Offset}; {Entries} entries and {Segments} segments behind it were never on disk whole.")]
    private static partial void LogCut(ILogger logger, string folder, long segment, int offset, int entries, int segments);
}
