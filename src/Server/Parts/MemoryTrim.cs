using System.Runtime.InteropServices;

namespace Frusta.Server.Parts;

/// <summary>Gives the host the memory back that a load has left behind: without it an idle server keeps what it needed at its worst.</summary>
/// <remarks>
/// The collector works when somebody allocates, and an idle server allocates nothing; the C library keeps what SQLite has freed. So both are asked
/// when little has been allocated for a while after much was, and not while calls come thick and fast: they would wait for some ten milliseconds.
/// They are asked more than once, since what is pooled is let go only when it has not been used between two collections.
/// </remarks>
internal sealed partial class MemoryTrim : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly TrimRule _rule = new();
    private readonly ITimer _timer;
    private long _allocated;

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
        if (!_rule.IsTimeToTrim(_allocated - before))
        {
            return;
        }

        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _ = malloc_trim(0);
    }

    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint keep);
}
