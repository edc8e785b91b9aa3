using System.Globalization;

namespace Frusta.Invoker.Pool;

/// <summary>A cgroup that this process is in, and that bounds memory.</summary>
internal sealed class MemoryGroup
{
    // Version 1 of cgroups says "no limit" by a number of about 2^63; no machine has as much as this.
    private const long NoLimit = 1L << 60;

    private readonly string _folder;
    private readonly bool _isUnified;

    private MemoryGroup(string folder, bool isUnified) => (_folder, _isUnified) = (folder, isUnified);

    /// <summary>The groups around this process that have a limit now, the innermost first.</summary>
    /// <param name="kernel">The folder of the kernel's files on processes: <c>/proc</c>.</param>
    /// <param name="cgroups">The folder where the hierarchies of cgroups are mounted.</param>
    public static List<MemoryGroup> Around(string kernel, string cgroups)
    {
        var found = new List<MemoryGroup>();
        foreach (var line in ReadLines(Path.Combine(kernel, "self", "cgroup")))
        {
            // "9:memory:/user.slice", or "0::/user.slice" where there is one hierarchy for all
            if (line.Split(':', 3) is not [_, var controllers, var path] || (controllers.Length > 0 && !controllers.Split(',').Contains("memory", StringComparer.Ordinal)))
            {
                continue;
            }

            var root = controllers.Length > 0 ? Path.Combine(cgroups, "memory") : cgroups;
            for (var below = path.Trim('/'); ; below = Path.GetDirectoryName(below) ?? "")
            {
                var group = new MemoryGroup(Path.Combine(root, below), isUnified: controllers.Length == 0);
                if (group.Read() is { All: < NoLimit })
                {
                    found.Add(group);
                }

                if (below.Length == 0)
                {
                    break;
                }
            }
        }

        return found;
    }

    /// <summary>Bytes that are left, and the limit in bytes; null where there is no limit. Page cache that the kernel could drop at once counts as left.</summary>
    public (long Available, long All)? Read()
    {
        var limit = ReadNumber(_isUnified ? "memory.max" : "memory.limit_in_bytes");
        var used = ReadNumber(_isUnified ? "memory.current" : "memory.usage_in_bytes");
        if (limit is null || used is null)
        {
            return null;
        }

        var cache = 0L;
        var label = _isUnified ? "inactive_file " : "total_inactive_file ";
        foreach (var line in ReadLines(Path.Combine(_folder, "memory.stat")))
        {
            if (line.StartsWith(label, StringComparison.Ordinal))
            {
                _ = long.TryParse(line.AsSpan(label.Length), NumberStyles.None, CultureInfo.InvariantCulture, out cache);
            }
        }

        return (limit.Value - used.Value + cache, limit.Value);
    }

    private long? ReadNumber(string file) =>
        ReadLines(Path.Combine(_folder, file)) is [var text, ..] && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static string[] ReadLines(string file)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
