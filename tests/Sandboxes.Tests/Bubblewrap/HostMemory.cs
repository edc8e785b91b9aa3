using System.Globalization;
using System.Text;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>What the kernel of this host holds for itself, in megabytes.</summary>
internal static class HostMemory
{
    /// <summary>Objects that it cannot drop, what waits in sockets, stacks of tasks, page tables, and pages without a name, such as those of datagrams that are not sent.</summary>
    internal static long Megabytes()
    {
        // What waits in sockets is in such pages or in objects, so that it is not counted once more.
        var memory = File.ReadAllBytes("/proc/meminfo");
        var kilobytes = KernelFigures.Unnamed(memory) - (KernelFigures.AtHand(File.ReadAllBytes("/proc/zoneinfo")) >> 10);
        foreach (var line in Encoding.ASCII.GetString(memory).Split('\n'))
        {
            if (line.StartsWith("SUnreclaim:", StringComparison.Ordinal) || line.StartsWith("KernelStack:", StringComparison.Ordinal) || line.StartsWith("PageTables:", StringComparison.Ordinal))
            {
                kilobytes += long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
            }
        }

        return kilobytes / 1024;
    }
}
