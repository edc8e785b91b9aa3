using System.Globalization;
using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Serve;

/// <summary>The kernel's figures of this machine: memory, idle cores, shortage. Where the kernel gives none, no core counts as idle and no memory as missing.</summary>
internal sealed class MachineLoad(TimeProvider time, string kernel = "/proc", string cgroups = "/sys/fs/cgroup")
{
    private static readonly TimeSpan CoresEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan CoresStaleAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PressureEvery = TimeSpan.FromSeconds(1);
    private const double TicksPerSecond = 100;

    // Of all memory. When less is available, the kernel soon takes back pages that are in use, and pressure comes from the machine, not from one sandbox.
    private const double ShortShare = 0.1;
    private readonly List<MemoryGroup> _groups = MemoryGroup.Around(kernel, cgroups);
    private long _coresAt;
    private long _pressureAt;
    private long _idleTicks;
    private bool _coreIdles;
    private double _pressurePercent;

    /// <summary>Bytes of memory that this process's cgroup or machine has.</summary>
    public static long MemoryBytes => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>True when at least three quarters of one core had nothing to do in the last quarter of a second. False until that is known.</summary>
    public bool CoreIdles()
    {
        var elapsed = time.GetElapsedTime(_coresAt);
        if (elapsed >= CoresEvery)
        {
            var idle = ReadIdleTicks();
            _coreIdles = elapsed < CoresStaleAfter && (idle - _idleTicks) / TicksPerSecond / elapsed.TotalSeconds > 0.75;
            _idleTicks = idle;
            _coresAt = time.GetTimestamp();
        }

        return _coreIdles;
    }

    /// <summary>
    /// Bytes that are to be freed, since less than so many percent of the memory of the machine, or of a cgroup around this process, are available. At least
    /// one byte while processes wait for memory for more of the time than <paramref name="pressurePercent"/> and less than a tenth is available. While more is
    /// available, such a process is at a limit of its own, such as a sandbox that thrashes: to end other sandboxes would not help it.
    /// </summary>
    /// <param name="availablePercent">Percent that are to be available; 0 to free nothing.</param>
    /// <param name="pressurePercent">Percent of ten seconds in which a process may wait for memory.</param>
    public long MissingBytes(int availablePercent, int pressurePercent)
    {
        var (available, all) = ReadMemory();
        if (availablePercent == 0 || all == 0)
        {
            return 0;
        }

        var missing = (all / 100 * availablePercent) - available;
        return missing > 0 ? missing : available < all * ShortShare && MemoryPressurePercent() > pressurePercent ? 1 : 0;
    }

    private double MemoryPressurePercent()
    {
        if (time.GetElapsedTime(_pressureAt) >= PressureEvery)
        {
            _pressurePercent = ReadPressure();
            _pressureAt = time.GetTimestamp();
        }

        return _pressurePercent;
    }

    /// <summary>Bytes that are available and bytes in all: of the machine, or of the cgroup that has least left.</summary>
    private (long Available, long All) ReadMemory()
    {
        // "MemTotal:       16384000 kB", then free, then available
        var lines = ReadLines("meminfo", 3);
        if (lines.Length != 3 || !lines[2].StartsWith("MemAvailable:", StringComparison.Ordinal))
        {
            return default;
        }

        var least = (Available: Number(lines[2]) << 10, All: Number(lines[0]) << 10);
        foreach (var group in _groups)
        {
            if (group.Read() is (Available: var available, All: var limit) && limit < least.All && available < least.Available)
            {
                least = (available, limit);
            }
        }

        return least;

        static long Number(string line) => long.TryParse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture, out var number) ? number : 0;
    }

    private long ReadIdleTicks()
    {
        // "cpu  user nice system idle iowait ..."
        var line = ReadFirstLine("stat");
        var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 4 && long.TryParse(fields[4], CultureInfo.InvariantCulture, out var idle) ? idle : 0;
    }

    private double ReadPressure()
    {
        // "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
        var line = ReadFirstLine("pressure/memory");
        var fields = line.Split([' ', '='], StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 2 && double.TryParse(fields[2], CultureInfo.InvariantCulture, out var percent) ? percent : 0;
    }

    private string ReadFirstLine(string file) => ReadLines(file, 1) is [var line] ? line : "";

    private string[] ReadLines(string file, int count)
    {
        try
        {
            return [.. File.ReadLines(Path.Combine(kernel, file)).Take(count)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
