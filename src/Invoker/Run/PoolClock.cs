namespace Frusta.Invoker.Run;

/// <summary>Microseconds for the pool and for deadlines, milliseconds since 1970 for records.</summary>
internal sealed class PoolClock(TimeProvider time)
{
    private readonly long _origin = time.GetTimestamp();

    public TimeProvider Time { get; } = time;

    /// <summary>Microseconds since the clock was made. Never 0: for the pool and for deadlines a time of 0 means "never".</summary>
    public long NowUs => (Time.GetElapsedTime(_origin).Ticks / TimeSpan.TicksPerMicrosecond) + 1;

    public long NowMs => Time.GetUtcNow().ToUnixTimeMilliseconds();
}
