using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Ends sandboxes for which the kernel holds more than it may where no cgroup counts it: connections that nobody has accepted, sockets above their bound, datagrams that are not sent, and record locks.</summary>
/// <remarks>
/// The kernel has no bound for these that is a sandbox's own (docs/reference/security-model.md). One look at the host's figures takes some
/// 50 microseconds; sandboxes are looked at only when those have grown.
/// </remarks>
internal sealed partial class UncountedWatch : IAsyncDisposable
{
    // A start adds about a megabyte of objects that a cgroup counts.
    private const long ObjectGrowth = 16L << 20;
    private const long SocketGrowth = 8L << 20;

    // The kernel keeps some pages at hand for each core, so that the figure goes up and down by itself.
    private const long UnnamedGrowth = 16L << 20;

    // A connection that is not accepted holds up to a receive buffer of 32 kB and 3 kB of objects.
    private const int MostUnaccepted = 1024;

    // Each may pin half a megabyte.
    private const int MostUnsent = 100;

    // As long as the host's list of locks is shorter, nobody has too many. The newest are read: what a sandbox has taken just now is there.
    private const int ManyLocks = 8192;
    private const int MostLocks = 512;

    private readonly Func<IEnumerable<BubblewrapSandbox>> _running;
    private readonly long _socketBytes;
    private readonly ILogger _log;
    private readonly ITimer _timer;
    private readonly KernelFigures _figures = new();
    private (long Objects, long InSockets, long Unnamed) _last;
    private int _looking;

    internal UncountedWatch(SandboxesOptions options, Func<IEnumerable<BubblewrapSandbox>> running, TimeProvider time, ILogger log)
    {
        (_running, _log) = (running, log);

        // Above the bound the kernel still takes what comes first to each socket.
        _socketBytes = 2L * options.SocketMemoryMb << 20;
        _last = _figures.Read();
        var interval = TimeSpan.FromMilliseconds(options.UncountedIntervalMs);
        _timer = time.CreateTimer(static state => ((UncountedWatch)state!).Look(), this, interval, interval);
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        _figures.Dispose();
    }

    private void Look()
    {
        // A look that takes longer than the interval is not joined by a second one.
        if (Interlocked.Exchange(ref _looking, 1) == 1)
        {
            return;
        }

        try
        {
            LookAtHost();
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            // Such as that no descriptor is free. The next look is soon.
        }
        finally
        {
            Volatile.Write(ref _looking, 0);
        }
    }

    private void LookAtHost()
    {
        var now = _figures.Read();
        var moreObjects = now.Objects - _last.Objects > ObjectGrowth;
        var moreInSockets = now.InSockets - _last.InSockets > SocketGrowth;
        var moreUnnamed = now.Unnamed - _last.Unnamed > UnnamedGrowth;
        if (moreObjects || moreInSockets || moreUnnamed)
        {
            LookAtSockets();
        }

        if (moreObjects)
        {
            LookAtLocks();
        }

        // What has been looked at is where the next growth begins; what has gone away is too.
        _last = (Next(moreObjects, now.Objects, _last.Objects), Next(moreInSockets, now.InSockets, _last.InSockets), Next(moreUnnamed, now.Unnamed, _last.Unnamed));

        static long Next(bool looked, long now, long last) => looked ? now : Math.Min(now, last);
    }

    private void LookAtSockets()
    {
        foreach (var sandbox in _running())
        {
            if (sandbox.Holdings.Cgroup?.MeasureSockets() is { } bytes && bytes > _socketBytes)
            {
                End(sandbox, bytes, "bytes in sockets");
            }
            else if (AcceptQueues.Count(sandbox.PidInNetwork(), MostUnaccepted) is var waiting && waiting > MostUnaccepted)
            {
                End(sandbox, waiting, "connections that it has not accepted");
            }
            else if (UnsentDatagrams.Count(sandbox.PidInNetwork(), MostUnsent) is var unsent && unsent > MostUnsent)
            {
                End(sandbox, unsent, "sockets with a datagram that is not sent, or in no table");
            }
        }
    }

    private void LookAtLocks()
    {
        var locks = FileLocks.Read(ManyLocks);
        if (locks.Values.Sum() < ManyLocks)
        {
            return;
        }

        var processes = ProcessTable.Read();
        foreach (var sandbox in _running())
        {
            if (processes.Tree(sandbox.Pid).Sum(locks.GetValueOrDefault) is var held && held > MostLocks)
            {
                End(sandbox, held, "locks of files");
            }
        }
    }

    private void End(BubblewrapSandbox sandbox, long held, string what)
    {
        LogWarningEnded(sandbox.Label, held, what);
        sandbox.EndForMemory();
    }

    [LoggerMessage(EventId = 5025, Level = LogLevel.Warning, Message = "Sandbox {Label} is ended, since the kernel holds {Held} {What} for it")]
    private partial void LogWarningEnded(string label, long held, string what);
}
