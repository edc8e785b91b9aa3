using System.Globalization;

namespace Frusta.Invoker.Pool;

/// <summary>What the kernel says of this machine: memory, idle cores, shortage. Where it says nothing, nothing is assumed.</summary>
internal sealed class MachineLoad(TimeProvider time)
{
    private static readonly TimeSpan CoresEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan CoresStaleAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PressureEvery = TimeSpan.FromSeconds(1);
    private const double TicksPerSecond = 100;
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

    /// <summary>Percent of the last ten seconds in which something stood still for want of memory.</summary>
    public double MemoryPressurePercent()
    {
        if (time.GetElapsedTime(_pressureAt) >= PressureEvery)
        {
            _pressurePercent = ReadPressure();
            _pressureAt = time.GetTimestamp();
        }

        return _pressurePercent;
    }

    private static long ReadIdleTicks()
    {
        // "cpu  user nice system idle iowait ..."
        var line = ReadFirstLine("/proc/stat");
        var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 4 && long.TryParse(fields[4], CultureInfo.InvariantCulture, out var idle) ? idle : 0;
    }

    private static double ReadPressure()
    {
        // "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
        var line = ReadFirstLine("/proc/pressure/memory");
        var fields = line.Split([' ', '='], StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 2 && double.TryParse(fields[2], CultureInfo.InvariantCulture, out var percent) ? percent : 0;
    }

    private static string ReadFirstLine(string path)
    {
        try
        {
            using var reader = new StreamReader(path);
            return reader.ReadLine() ?? "";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
