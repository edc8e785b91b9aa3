using System.Runtime.InteropServices;

namespace Frusta.Server.Parts;

/// <summary>Gives memory back to the host after a load: without this an idle server keeps as much as it needed at the height of the load.</summary>
/// <remarks>
/// The garbage collector runs when the program allocates, and an idle server allocates nothing; the C library keeps the memory that SQLite has freed. So
/// this class calls both, when little has been allocated for a while after much was. It does not while many calls come, since each of these calls would
/// wait for some ten milliseconds. It does so more than once, since pools drop their arrays only when these were not used between two collections.
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
