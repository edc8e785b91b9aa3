using System.Globalization;

namespace Frusta.Sandboxes.Processes;

/// <summary>Reads <c>/proc</c>: who is whose child, and what each uses.</summary>
internal static class ProcessTable
{
    // Deeper trees are not followed: a sandbox that builds one is bounded by its process limit before.
    private const int DeepestTree = 64;

    /// <summary>Ticks since boot at which a process started; it tells two holders of one pid apart. Null when there is none.</summary>
    internal static long? StartTime(int pid) => TryReadStat(pid, out var stat) ? stat.StartTime : null;

    /// <summary>True when <paramref name="pid"/> is <paramref name="root"/> or descends from it.</summary>
    internal static bool IsInTree(int pid, int root)
    {
        for (var depth = 0; depth < DeepestTree && pid > 1; depth++)
        {
            if (pid == root)
            {
                return true;
            }

            if (!TryReadStat(pid, out var stat))
            {
                return false;
            }

            pid = stat.Parent;
        }

        return false;
    }

    /// <summary>The process, its descendants, and whoever is still in the session that it leads.</summary>
    internal static List<int> Tree(int root)
    {
        var all = new List<(int Pid, ProcessStat Stat)>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var pid) && TryReadStat(pid, out var stat))
            {
                all.Add((pid, stat));
            }
        }

        var tree = new HashSet<int>();
        var before = -1;
        while (before != tree.Count)
        {
            before = tree.Count;
            foreach (var (pid, stat) in all)
            {
                if (pid == root || stat.Session == root || tree.Contains(stat.Parent))
                {
                    tree.Add(pid);
                }
            }
        }

        return [.. tree];
    }

    /// <summary>Bytes of memory that belong to the process alone: resident, without what is mapped from files or shared.</summary>
    internal static long PrivateBytes(int pid)
    {
        // statm: size, resident, shared, ... in pages
        var pages = ReadText($"/proc/{pid}/statm").Split(' ');
        return pages.Length < 3 ? 0 : (Number(pages[1]) - Number(pages[2])) * Environment.SystemPageSize;
    }

    private static bool TryReadStat(int pid, out ProcessStat stat)
    {
        // pid (name) state parent group session ... ; the name may hold anything, so what counts begins after the last parenthesis.
        var text = ReadText($"/proc/{pid}/stat");
        var end = text.LastIndexOf(')');
        var fields = end < 0 ? [] : text[(end + 2)..].Split(' ');
        if (fields.Length < 20)
        {
            stat = default;
            return false;
        }

        stat = new ProcessStat((int)Number(fields[1]), (int)Number(fields[3]), Number(fields[19]));
        return fields[0] is not "Z";
    }

    private static long Number(string text) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : 0;

    private static string ReadText(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private readonly record struct ProcessStat(int Parent, int Session, long StartTime);
}
