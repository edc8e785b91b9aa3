namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Finds the sandbox that pins memory with small pieces by TCP.</summary>
/// <remarks>
/// The kernel copies the bytes that a process sends into blocks of 32 kB, and keeps a block as long as one byte of it waits in a queue. It counts
/// the byte, and no figure says whose a block is. Two figures bound the memory that a sandbox pins: the number of its waiting packets, since each
/// has places for 17 pieces; and the memory that the host has lost since the sandbox last had no packet waiting. The first is large for an instant whenever
/// much is sent. Both together are large only for a sandbox that keeps packets while the host loses memory.
/// </remarks>
internal sealed class PinnedBlocks
{
    private const long PiecesOfPacket = 17;
    private const long Block = 32 << 10;

    // The host's own needs go up and down by some megabytes. Half of this growth is reason to look again soon.
    private const long Growth = 16L << 20;

    // A sandbox takes up to 40 MB more until the next look, and until it has ended.
    private const long MostPinned = 24L << 20;

    // A connection with a slow reader has some 60 full packets, which could pin 33 MB and hardly do.
    private const long MostPinnedByAll = 128L << 20;

    // A connection with a fast reader seems to have hundreds of packets for an instant, since a packet that is read in part counts whole.
    private const int Counts = 6;
    private static readonly TimeSpan BetweenCounts = TimeSpan.FromMilliseconds(1);

    private readonly Action<TimeSpan> _wait;
    private Dictionary<BubblewrapSandbox, (long Small, long All)> _suspects = [];
    private long _last;
    private bool _hasGrown;

    internal PinnedBlocks(long unnamed, Action<TimeSpan> wait) => (_last, _wait) = (unnamed, wait);

    /// <summary>Whether the next look should be soon.</summary>
    internal bool IsSuspicious => _hasGrown || _suspects.Count > 0;

    /// <summary>Finds the sandbox that has to be ended, and the bytes that it may have pinned; null when there is none. All other sandboxes are then free of suspicion until the host loses more.</summary>
    /// <param name="unnamed">Bytes of the host in pages without a name.</param>
    /// <param name="running">All sandboxes.</param>
    internal (BubblewrapSandbox? Sandbox, long Bytes) Look(long unnamed, Func<IEnumerable<BubblewrapSandbox>> running)
    {
        var growth = unnamed - _last > Growth ? unnamed - _last : 0;
        _hasGrown = unnamed - _last > Growth / 2;
        _last = growth > 0 ? unnamed : Math.Min(_last, unnamed);

        // Without growth the suspects alone are counted again, to see which have fewer packets now. A paused sandbox sends none.
        Dictionary<BubblewrapSandbox, (long Small, long All)> suspects = [];
        foreach (var sandbox in growth > 0 ? running().Where(static one => !one.IsPaused) : _suspects.Keys)
        {
            var (small, all) = _suspects.GetValueOrDefault(sandbox);
            var now = Least(sandbox, (small + growth, all + growth));
            if (now.All > 0)
            {
                suspects.Add(sandbox, now);
            }
        }

        _suspects = suspects;
        if (suspects.Count == 0)
        {
            return default;
        }

        var (most, bytes) = suspects.MaxBy(static suspect => suspect.Value);
        for (var i = 0; IsTooMuch(bytes); i++)
        {
            if (i == Counts)
            {
                _suspects = [];
                return (most, bytes.All);
            }

            _wait(BetweenCounts);
            suspects[most] = bytes = Least(most, bytes);
        }

        return default;
    }

    private static bool IsTooMuch((long Small, long All) bytes) => bytes.Small > MostPinned || bytes.All > MostPinnedByAll;

    /// <summary>Bytes that a sandbox may have pinned by its packets of now, and not more than it may have pinned before.</summary>
    private static (long Small, long All) Least(BubblewrapSandbox sandbox, (long Small, long All) bytes)
    {
        var (all, small) = sandbox.CountPackets();
        return (Math.Min(bytes.Small, small * PiecesOfPacket * Block), Math.Min(bytes.All, all * PiecesOfPacket * Block));
    }
}
