namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Finds the sandbox that pins memory with small pieces by TCP.</summary>
/// <remarks>
/// A process writes what it sends into blocks of 32 kB, and a block stays as long as one byte of it waits anywhere. The kernel counts the byte,
/// and nothing says whose a block is. Two things bound what a sandbox pins: its waiting packets have places for so many pieces, and since the last
/// look it has pinned no more than the host has lost. The first is large for an instant whenever much is sent; both together are large
/// only for one that keeps packets while the host loses memory.
/// </remarks>
internal sealed class PinnedBlocks
{
    private const long PiecesOfPacket = 17;
    private const long Block = 32 << 10;

    // The host's own needs go up and down by some megabytes. A loss of half of that is reason to look again soon.
    private const long Growth = 16L << 20;

    // With what is taken until the next look and the end, this is 64 MB.
    private const long MostPinned = 24L << 20;

    // A connection whose reader is slow has packets too, full ones: some 60 of them, which could pin this much but hardly do.
    private const long MostPinnedByAll = 128L << 20;

    // One that is read fast has many for an instant: a packet that is read in part counts with what is read.
    private const int Counts = 6;
    private static readonly TimeSpan BetweenCounts = TimeSpan.FromMilliseconds(1);

    private readonly Action<TimeSpan> _wait;
    private Dictionary<BubblewrapSandbox, (long Small, long All)> _suspects = [];
    private long _last;
    private bool _hasGrown;

    internal PinnedBlocks(long unnamed, Action<TimeSpan> wait) => (_last, _wait) = (unnamed, wait);

    /// <summary>Whether the next look should be soon.</summary>
    internal bool IsSuspicious => _hasGrown || _suspects.Count > 0;

    /// <summary>The sandbox that has to be ended, and what it may have pinned; null when there is none. All others are then beyond suspicion until the host loses more.</summary>
    /// <param name="unnamed">Bytes of the host in pages without a name.</param>
    /// <param name="running">All sandboxes.</param>
    internal (BubblewrapSandbox? Sandbox, long Bytes) Look(long unnamed, Func<IEnumerable<BubblewrapSandbox>> running)
    {
        var growth = unnamed - _last > Growth ? unnamed - _last : 0;
        _hasGrown = unnamed - _last > Growth / 2;
        _last = growth > 0 ? unnamed : Math.Min(_last, unnamed);

        // Between two times of growth it is only seen who has no packets any more. One that stands still gets none.
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

    /// <summary>What a sandbox may have pinned by its packets now, and not more than was possible before.</summary>
    private static (long Small, long All) Least(BubblewrapSandbox sandbox, (long Small, long All) bytes)
    {
        var (all, small) = sandbox.CountPackets();
        return (Math.Min(bytes.Small, small * PiecesOfPacket * Block), Math.Min(bytes.All, all * PiecesOfPacket * Block));
    }
}
