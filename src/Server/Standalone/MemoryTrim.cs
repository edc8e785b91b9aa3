using System.Runtime.InteropServices;

namespace Frusta.Server.Standalone;

/// <summary>Gives the host the memory back that a load has left behind: without it an idle server keeps what it needed at its worst.</summary>
/// <remarks>
/// The collector works when somebody allocates, and an idle server allocates nothing; the C library keeps what SQLite has freed. So both are asked
/// when little has been allocated for a while after much was, and not while calls come thick and fast: they would wait for some ten milliseconds.
/// They are asked more than once, since what is pooled is let go only when it has not been used between two collections.
/// </remarks>
internal sealed partial class MemoryTrim : IDisposable
{
    private const long Much = 128L << 20;
    private const long Little = 32L << 20;
    private const int Times = 4;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly ITimer _timer;
    private long _allocated;
    private long _sinceTrim;
    private int _timesLeft;

    public MemoryTrim(TimeProvider clock)
    {
        _allocated = GC.GetTotalAllocatedBytes();
        _timer = clock.CreateTimer(static trim => ((MemoryTrim)trim!).Look(), this, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        var before = _allocated;
        _allocated = GC.GetTotalAllocatedBytes();
        var lately = _allocated - before;
        _sinceTrim += lately;
        if (_sinceTrim > Much)
        {
            _timesLeft = Times;
        }

        if (lately > Little || _timesLeft == 0)
        {
            return;
        }

        _timesLeft--;
        _sinceTrim = 0;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _ = malloc_trim(0);
    }

    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint keep);
}
