using System.Globalization;

namespace Frusta.Invoker.Pool;

/// <summary>What the kernel says of this machine: memory, idle cores, shortage. Where it says nothing, nothing is assumed.</summary>
internal sealed class MachineLoad(TimeProvider time, string kernel = "/proc")
{
    private static readonly TimeSpan CoresEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan CoresStaleAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PressureEvery = TimeSpan.FromSeconds(1);
    private const double TicksPerSecond = 100;

    // Of all memory. Below it the kernel soon takes back what is in use, and the pressure is the machine's own.
    private const double ShortShare = 0.1;
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
    /// Percent of the last ten seconds in which something stood still for want of memory; 0 while a tenth of the machine's memory is available.
    /// What stands still then is at a limit of its own, such as one sandbox that thrashes, and to end others would not help it.
    /// </summary>
    public double MemoryPressurePercent()
    {
        if (time.GetElapsedTime(_pressureAt) >= PressureEvery)
        {
            _pressurePercent = ReadPressure() is > 0 and var percent && IsShort() ? percent : 0;
            _pressureAt = time.GetTimestamp();
        }

        return _pressurePercent;
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

    private bool IsShort()
    {
        // "MemTotal:       16384000 kB", then free, then available
        var lines = ReadLines("meminfo", 3);
        return lines.Length == 3 && lines[2].StartsWith("MemAvailable:", StringComparison.Ordinal) && Number(lines[2]) < Number(lines[0]) * ShortShare;

        static long Number(string line) => long.TryParse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture, out var number) ? number : 0;
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
