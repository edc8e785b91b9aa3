using System.Globalization;

namespace Frusta.Server.Standalone;

/// <summary>Gives back to the host what a load has left behind: the collector keeps the memory of the largest load for the next, which may never come.</summary>
/// <remarks>
/// One collection that compacts stops everybody for some ten milliseconds. It is made only when this process has grown well beyond what it had after
/// the last one, and does not grow any more.
/// </remarks>
internal sealed partial class MemoryTrim : IDisposable
{
    private const long WorthwhileBytes = 96L << 20;
    private const long StillBytes = 16L << 20;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private long _leastBytes = long.MaxValue;
    private long _lastBytes;

    public MemoryTrim(TimeProvider clock, ILogger<MemoryTrim> logger)
    {
        _logger = logger;
        _timer = clock.CreateTimer(static trim => ((MemoryTrim)trim!).Look(), this, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    /// <summary>Bytes that this process alone holds, without the files that it has mapped.</summary>
    internal static long OwnBytes()
    {
        const string label = "RssAnon:";
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(label, StringComparison.Ordinal));
        return long.Parse(line.AsSpan(label.Length).Trim().TrimEnd(" kB"), NumberStyles.None, CultureInfo.InvariantCulture) * 1024;
    }

    private void Look()
    {
        var bytes = OwnBytes();
        var grows = bytes > _lastBytes + StillBytes;
        _lastBytes = bytes;
        _leastBytes = Math.Min(_leastBytes, bytes);
        if (grows || bytes < _leastBytes + WorthwhileBytes)
        {
            return;
        }

        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _leastBytes = _lastBytes = OwnBytes();
        LogDebugTrimmed(bytes >> 20, _leastBytes >> 20);
    }

    [LoggerMessage(EventId = 9301, Level = LogLevel.Debug, Message = "After a load {BeforeMb} MB were held, and {AfterMb} MB when it was cleared away")]
    private partial void LogDebugTrimmed(long beforeMb, long afterMb);
}
