using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Ends sandboxes that have the kernel hold too much memory that no cgroup counts.</summary>
/// <remarks>
/// Such memory is in connections that no process has accepted, sockets above their bound, blocks that small pieces by TCP or UDP pin, and record
/// locks. The kernel has no bound on it for each sandbox (docs/reference/security-model.md). One look at the host's figures takes some
/// 150 microseconds; sandboxes are looked at only when the figures have grown. The class has a thread of its own, because it moves into sandboxes' networks.
/// </remarks>
internal sealed partial class UncountedWatch : IDisposable
{
    // Growth that is reason to look at sandboxes. The start of one adds about a megabyte of objects, which its cgroup counts.
    private const long ObjectGrowth = 16L << 20;
    private const long SocketGrowth = 8L << 20;

    // A connection that is not accepted holds up to a receive buffer of 32 kB and 3 kB of objects.
    private const int MostUnaccepted = 1024;

    // As long as the host's list of locks is shorter, no sandbox has too many. The newest are read, so those that a sandbox has just taken are among them.
    private const int ManyLocks = 8192;
    private const int MostLocks = 512;

    // Time to the next look while a sandbox may be taking memory, which it can do at more than a gigabyte a second.
    private static readonly TimeSpan SoonAgain = TimeSpan.FromMilliseconds(5);

    private readonly Func<IEnumerable<BubblewrapSandbox>> _running;
    private readonly long _socketBytes;
    private readonly ILogger _log;
    private readonly TimeSpan _interval;
    private readonly Thread _thread;
    private readonly ManualResetEvent _stopping = new(false);
    private readonly KernelFigures _figures;
    private readonly PinnedBlocks _pinned;
    private (long Objects, long InSockets) _last;

    internal UncountedWatch(SandboxesOptions options, Func<IEnumerable<BubblewrapSandbox>> running, (string File, string Word)? charged, ILogger log)
    {
        (_running, _log) = (running, log);

        // Twice the option, because above its bound the kernel still takes the first packets of each socket.
        _socketBytes = 2L * options.SocketMemoryMb << 20;
        _figures = new KernelFigures(charged);
        (_last.Objects, _last.InSockets, var uncharged, _) = _figures.Read();
        _pinned = new PinnedBlocks(uncharged, time => _stopping.WaitOne(time));
        _interval = TimeSpan.FromMilliseconds(options.UncountedIntervalMs);
        _thread = new Thread(Watch, 512 * 1024) { IsBackground = true, Name = "uncounted" };
        _thread.Start();
    }

    public void Dispose()
    {
        _stopping.Set();
        _thread.Join();
        _stopping.Dispose();
        _figures.Dispose();
    }

    private void Watch()
    {
        while (!_stopping.WaitOne(_pinned.IsSuspicious ? SoonAgain : _interval))
        {
            try
            {
                LookAtHost();
            }
            catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
            {
                // For example, no descriptor is free. The next look is soon.
            }
            catch (Exception failed)
            {
                // While this goes on, sandboxes are without this bound. That is better than the end of the server.
                LogFailed(failed);
            }
        }
    }

    private void LookAtHost()
    {
        var now = _figures.Read();
        if (_pinned.Look(now.Uncharged, now.Anonymous, _running) is ({ } suspect, var pinned))
        {
            End(suspect, pinned, "bytes of memory that small pieces by TCP or UDP pin, as it seems,");
        }

        var moreObjects = now.Objects - _last.Objects > ObjectGrowth;
        var moreInSockets = now.InSockets - _last.InSockets > SocketGrowth;
        if (moreObjects || moreInSockets)
        {
            LookAtSockets();
        }

        if (moreObjects)
        {
            LookAtLocks();
        }

        // The next growth is measured from figures for which sandboxes were looked at, or from lower ones since.
        _last = (Next(moreObjects, now.Objects, _last.Objects), Next(moreInSockets, now.InSockets, _last.InSockets));

        static long Next(bool looked, long now, long last) => looked ? now : Math.Min(now, last);
    }

    private void LookAtSockets()
    {
        foreach (var sandbox in _running())
        {
            if (sandbox.Holdings.Cgroup is { CountsSocketsApart: true } cgroup && cgroup.MeasureSockets() is var bytes && bytes > _socketBytes)
            {
                End(sandbox, bytes, "bytes in sockets");
            }
            else if (AcceptQueues.Count(sandbox.PidInNetwork(), MostUnaccepted) is var waiting && waiting > MostUnaccepted)
            {
                End(sandbox, waiting, "connections that it has not accepted");
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
        LogEnded(sandbox.Label, held, what);
        sandbox.EndForMemory();
    }

    [LoggerMessage(EventId = 5025, Level = LogLevel.Warning, Message = "Sandbox {Label} is ended, since the kernel holds {Held} {What} for it")]
    private partial void LogEnded(string label, long held, string what);

    [LoggerMessage(EventId = 5026, Level = LogLevel.Error, Message = "The memory that the kernel holds for sandboxes could not be looked at, so it is without a bound until a later look, which is soon, succeeds")]
    private partial void LogFailed(Exception exception);
}
