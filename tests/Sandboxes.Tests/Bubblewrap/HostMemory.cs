using System.Globalization;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>What the kernel of this host holds for itself, in megabytes.</summary>
internal static class HostMemory
{
    /// <summary>Objects that it cannot drop, what waits in sockets, stacks of tasks, and page tables.</summary>
    internal static long Megabytes()
    {
        var kilobytes = 0L;
        foreach (var line in File.ReadLines("/proc/meminfo"))
        {
            if (line.StartsWith("SUnreclaim:", StringComparison.Ordinal) || line.StartsWith("KernelStack:", StringComparison.Ordinal) || line.StartsWith("PageTables:", StringComparison.Ordinal))
            {
                kilobytes += long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
            }
        }

        foreach (var line in File.ReadLines("/proc/net/sockstat"))
        {
            var words = line.Split(' ');
            if (words[0] is "TCP:" or "UDP:")
            {
                kilobytes += long.Parse(words[Array.IndexOf(words, "mem") + 1], CultureInfo.InvariantCulture) * Environment.SystemPageSize / 1024;
            }
        }

        return kilobytes / 1024;
    }
}
