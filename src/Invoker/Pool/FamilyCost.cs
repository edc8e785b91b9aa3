namespace Frusta.Invoker.Pool;

/// <summary>
/// What sandboxes of one family were seen to cost: time to start, and memory while they idle. The next sandbox is counted by that memory from its
/// first idle moment. Written under the room's lock; any thread reads the bytes.
/// </summary>
internal sealed class FamilyCost(long firstColdStartUs)
{
    // However soon a process is up, its start took a core from others for a while.
    private const long LeastUs = 10_000;

    private double _averageBytes;
    private double _deviationBytes;
    private bool _actionSeen;
    private long _idleBytes;

    /// <summary>Microseconds that a cold start takes, without loading the code.</summary>
    public long ColdStartUs { get; private set; } = firstColdStartUs;

    /// <summary>
    /// Bytes that one more sandbox is expected to use while it idles: the average plus twice the mean deviation, which few exceed; 0 while none was measured.
    /// </summary>
    public long IdleBytes => Volatile.Read(ref _idleBytes);

    public void StartTook(long us) => ColdStartUs = Math.Max(LeastUs, ColdStartUs + ((us - ColdStartUs) / 4));

    /// <summary>An idle sandbox of an action was measured to use so many bytes.</summary>
    public void Idles(long bytes)
    {
        if (!_actionSeen)
        {
            (_actionSeen, _averageBytes, _deviationBytes) = (true, bytes, bytes / 8.0);
        }

        _deviationBytes += (Math.Abs(bytes - _averageBytes) - _deviationBytes) / 16;
        _averageBytes += (bytes - _averageBytes) / 16;
        Volatile.Write(ref _idleBytes, (long)(_averageBytes + (2 * _deviationBytes)));
    }

    /// <summary>A stem cell was measured to use so many bytes. They count only as long as no sandbox with code was measured.</summary>
    public void CellIdles(long bytes)
    {
        if (!_actionSeen)
        {
            Volatile.Write(ref _idleBytes, bytes);
        }
    }
}
