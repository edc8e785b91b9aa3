using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Finds the sandbox that pins memory with small pieces by TCP or UDP.</summary>
/// <remarks>
/// The kernel copies the bytes that a process sends into blocks of 32 kB, and keeps a block as long as one byte of it waits in a queue. It counts
/// only the byte, and no figure says which sandbox pins a block. Two figures bound the memory that a sandbox pins: the number of its waiting packets,
/// since each has places for 17 pieces; and the memory that the host has lost without charging it to a sandbox, since this sandbox last had no packet
/// waiting. The first figure is large for an instant whenever much is sent. Both are large only for a sandbox that keeps packets while the host loses memory.
/// </remarks>
/// <param name="uncharged">Bytes that the kernel holds now and charges to no sandbox.</param>
/// <param name="wait">Waits for a time between two counts.</param>
internal sealed class PinnedBlocks(long uncharged, Action<TimeSpan> wait)
{
    private const long Block = 32 << 10;

    // Bytes of growth that raise suspicion: the host's own needs go up and down by some megabytes. Half of it is reason to look again soon.
    private const long Growth = 16L << 20;

    // A sandbox may pin up to 60 MB more until it has ended: between two looks, while its packets are counted, and while it is being killed.
    private const long MostPinned = 24L << 20;

    // A connection with a slow reader has some 60 full packets, which could pin 33 MB and hardly do.
    private const long MostPinnedByAll = 128L << 20;

    // A connection with a fast reader seems to have hundreds of packets for an instant, since a packet that is read in part counts whole.
    private const int Counts = 4;

    // The memory of a sandbox that is ended comes back when it has exited. Until then no other sandbox is blamed for it.
    private const int LongestEndMs = 250;

    // While a process ends, its memory is for some milliseconds not anonymous any more and not free yet.
    private const int LongestOnTheWayMs = 30;

    private static readonly TimeSpan BetweenCounts = TimeSpan.FromMilliseconds(1);

    private readonly Queue<(long AtMs, long Bytes)> _onTheWay = [];

    private Dictionary<BubblewrapSandbox, (long Small, long All)> _suspects = [];
    private BubblewrapSandbox? _ended;
    private long _endedAtMs;
    private long _last = uncharged;
    private long _anonymous;
    private long _grewAtMs;
    private bool _hasGrown;

    /// <summary>True when the next look should be soon.</summary>
    internal bool IsSuspicious => _hasGrown || _suspects.Count > 0;

    /// <summary>Finds the sandbox that has to be ended, and the bytes that it may have pinned; null when there is none.</summary>
    /// <param name="uncharged">Bytes that the kernel holds now and charges to no sandbox.</param>
    /// <param name="anonymous">Bytes of anonymous memory on the host now.</param>
    /// <param name="running">All sandboxes.</param>
    internal (BubblewrapSandbox? Sandbox, long Bytes) Look(long uncharged, long anonymous, Func<IEnumerable<BubblewrapSandbox>> running)
    {
        uncharged -= Math.Min(OnTheWay(anonymous), Math.Max(0, uncharged - _last));
        var change = uncharged - _last;
        _hasGrown = change > Growth / 2;
        if (change is < 0 or > Growth)
        {
            _last = uncharged;
            _suspects = Measured(change > 0 ? Suspected(running()) : _suspects.Keys, change);
            _grewAtMs = change > 0 ? Environment.TickCount64 : _grewAtMs;
        }
        else if (_suspects.Count > 0)
        {
            // Some may have fewer packets now.
            _suspects = Measured(_suspects.Keys, change: 0);
        }

        return _suspects.Count == 0 || IsEnding() ? default : Guilty();
    }

    /// <summary>Bytes that were anonymous memory until a moment ago, and may not be free yet.</summary>
    private long OnTheWay(long anonymous)
    {
        var now = Environment.TickCount64;
        if (anonymous < _anonymous)
        {
            _onTheWay.Enqueue((now, _anonymous - anonymous));
        }

        _anonymous = anonymous;
        while (_onTheWay.TryPeek(out var oldest) && now - oldest.AtMs > LongestOnTheWayMs)
        {
            _onTheWay.Dequeue();
        }

        return _onTheWay.Sum(static one => one.Bytes);
    }

    /// <summary>
    /// The sandboxes that may have pinned the memory that the host has lost: those that have run since the loss before, since a paused sandbox sends
    /// nothing, and earlier suspects.
    /// </summary>
    private IEnumerable<BubblewrapSandbox> Suspected(IEnumerable<BubblewrapSandbox> running) =>
        running.Where(one => one.RanSince(_grewAtMs) || _suspects.ContainsKey(one));

    private Dictionary<BubblewrapSandbox, (long Small, long All)> Measured(IEnumerable<BubblewrapSandbox> sandboxes, long change)
    {
        Dictionary<BubblewrapSandbox, (long Small, long All)> measured = [];
        foreach (var sandbox in sandboxes)
        {
            var (small, all) = _suspects.GetValueOrDefault(sandbox);
            var now = Least(sandbox, (small + change, all + change));
            if (now.All > 0)
            {
                measured.Add(sandbox, now);
            }
        }

        return measured;
    }

    private bool IsEnding() => _ended is { Exited.IsCompleted: false } && Environment.TickCount64 - _endedAtMs < LongestEndMs;

    /// <summary>The worst of the suspects, when it may pin too much at each of several counts; else none.</summary>
    private (BubblewrapSandbox? Sandbox, long Bytes) Guilty()
    {
        var (worst, bytes) = _suspects.MaxBy(static suspect => suspect.Value);
        for (var counts = 0; bytes.Small > MostPinned || bytes.All > MostPinnedByAll; counts++)
        {
            if (counts == Counts)
            {
                _suspects.Remove(worst);
                (_ended, _endedAtMs) = (worst, Environment.TickCount64);
                return (worst, bytes.All);
            }

            wait(BetweenCounts);
            _suspects[worst] = bytes = Least(worst, bytes);
        }

        return default;
    }

    /// <summary>Bytes that a sandbox can pin with the packets that it has now, at most those that it may have pinned before.</summary>
    private static (long Small, long All) Least(BubblewrapSandbox sandbox, (long Small, long All) bytes)
    {
        const long mostOfPacket = SocketSums.PiecesOfPacket * Block;
        var (all, small) = sandbox.CountPackets();
        return (Math.Min(bytes.Small, small * mostOfPacket), Math.Min(bytes.All, all * mostOfPacket));
    }
}
