using System.Globalization;
using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Processes;

/// <summary>
/// The processes of the host and their parents at one moment, read from <c>/proc</c>. A read takes some ten microseconds for each process; one table
/// serves many questions.
/// </summary>
internal sealed class ProcessTable
{
    // The kernel tells programs times in these ticks, whatever ticks it uses itself.
    private const int TicksPerSecond = 100;

    private readonly Dictionary<int, long> _cpuTicks = [];
    private readonly HashSet<int> _pids = [];
    private readonly Dictionary<int, List<int>> _children = [];
    private readonly Dictionary<int, List<int>> _sessions = [];

    private ProcessTable()
    {
    }

    /// <summary>Reads the processes that there are now.</summary>
    internal static ProcessTable Read()
    {
        var table = new ProcessTable();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var pid) && TryReadStat(pid, out var stat))
            {
                table._cpuTicks[pid] = stat.CpuTicks;
                Under(table._children, stat.Parent).Add(pid);
                Under(table._sessions, stat.Session).Add(pid);
            }
        }

        return table;

        static List<int> Under(Dictionary<int, List<int>> groups, int key) =>
            CollectionsMarshal.GetValueRefOrAddDefault(groups, key, out _) ??= [];
    }

    /// <summary>Name of a process's program, as the kernel knows it; null when there is no such process.</summary>
    internal static string? NameOf(int pid)
    {
        try
        {
            return File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/comm")).Trim();
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The numbers of the process, of all processes in the session that it leads or led, and of the descendants of all these.</summary>
    internal List<int> Tree(int root)
    {
        var found = new HashSet<int>();
        var tree = new List<int>();
        if (_cpuTicks.ContainsKey(root))
        {
            Add([root]);
        }

        Add(_sessions.GetValueOrDefault(root));
        for (var i = 0; i < tree.Count; i++)
        {
            Add(_children.GetValueOrDefault(tree[i]));
        }

        return tree;

        void Add(List<int>? pids)
        {
            foreach (var pid in pids ?? [])
            {
                if (found.Add(pid))
                {
                    tree.Add(pid);
                }
            }
        }
    }

    /// <summary>Bytes of memory that belong to the process and its <see cref="Tree"/> alone: resident, without pages of files and shared pages.</summary>
    internal long PrivateBytes(int root)
    {
        var sum = 0L;
        foreach (var pid in Tree(root))
        {
            // statm: size, resident, shared, ... in pages
            var pages = ReadText($"/proc/{pid}/statm").Split(' ');
            sum += pages.Length < 3 ? 0 : (Number(pages[1]) - Number(pages[2])) * Environment.SystemPageSize;
        }

        return sum;
    }

    /// <summary>Processor time that the process and its <see cref="Tree"/>, with the children that they have awaited, have used.</summary>
    internal TimeSpan CpuTime(int root)
    {
        var ticks = 0L;
        foreach (var pid in Tree(root))
        {
            ticks += _cpuTicks.GetValueOrDefault(pid);
        }

        return TimeSpan.FromSeconds((double)ticks / TicksPerSecond);
    }

    /// <summary>Ticks since boot at which a process started, which tells it from others that get its number. Null when there is no such process.</summary>
    internal static long? StartTime(int pid) => TryReadStat(pid, out var stat) ? stat.StartTime : null;

    private static bool TryReadStat(int pid, out ProcessStat stat)
    {
        // pid (name) state parent group session ... utime stime cutime cstime ... starttime; the name may hold anything, so the other fields begin after the last parenthesis.
        var text = ReadText($"/proc/{pid}/stat");
        var end = text.LastIndexOf(')');
        var fields = end < 0 ? [] : text[(end + 2)..].Split(' ');
        if (fields.Length < 20)
        {
            stat = default;
            return false;
        }

        var cpuTicks = Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]);
        stat = new ProcessStat((int)Number(fields[1]), (int)Number(fields[3]), cpuTicks, Number(fields[19]));
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

    private readonly record struct ProcessStat(int Parent, int Session, long CpuTicks, long StartTime);
}
