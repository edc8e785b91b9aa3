using System.Globalization;
using Frusta.Sandboxes.Cgroups;
using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>A process tree in namespaces of its own. The server's child is bubblewrap, which ends when the first process inside ends.</summary>
internal sealed class BubblewrapSandbox : ISandbox, MemoryWatchdog.IWatched
{
    private readonly SpawnedProcess _process;
    private readonly SandboxChannel _channel;
    private readonly SandboxHoldings _holdings;
    private readonly BubblewrapSandboxMaker _maker;
    private readonly bool _addressSpaceMayBeLimited;
    private readonly Lock _stopLock = new();
    private Task? _stopping;
    private long _limitBytes;
    private long _knownKills;
    private long _pausedAtMs = long.MaxValue;
    private volatile bool _memoryExhausted;

    internal BubblewrapSandbox(SandboxHoldings holdings, SandboxSpec spec, SpawnedProcess process, SandboxChannel channel, BubblewrapSandboxMaker maker)
    {
        _channel = channel;
        _holdings = holdings;
        _process = process;
        _maker = maker;
        _addressSpaceMayBeLimited = spec.AddressSpaceMayBeLimited;
        _limitBytes = (long)spec.MemoryMb << 20;
        Exited = AwaitExitAsync();
    }

    public string Label => _holdings.Label;

    public SandboxEndpoint Endpoint => _channel;

    public SafeFileHandle StandardOutput => _process.StandardOutput;

    public SafeFileHandle StandardError => _process.StandardError;

    public Task<SandboxExit> Exited { get; }

    /// <summary>Keeps its value once the sandbox has stopped.</summary>
    public bool MemoryExhausted => _memoryExhausted |= _holdings.Cgroup?.MemoryKills > Volatile.Read(ref _knownKills);

    public long LimitBytes => Volatile.Read(ref _limitBytes);

    internal SandboxHoldings Holdings => _holdings;

    /// <summary>The outermost process, which is bubblewrap.</summary>
    internal int Pid => _process.Pid;

    public void LimitMemory(int megabytes)
    {
        if (Interlocked.Exchange(ref _limitBytes, (long)megabytes << 20) == (long)megabytes << 20)
        {
            return;
        }

        if (_holdings.Cgroup is { } cgroup)
        {
            try
            {
                cgroup.LimitMemory(megabytes);
            }
            catch (IOException)
            {
                // v1 refuses a bound below the memory in use; v2 kills the processes then. So the sandbox ends in both.
                EndForMemory();
            }

            return;
        }

        foreach (var pid in ProcessTable.Read().Tree(_process.Pid))
        {
            ResourceLimits.LimitMemory(pid, megabytes, _addressSpaceMayBeLimited);
        }
    }

    public void ForgetKills()
    {
        // On v1 the kernel can kill one child for want of memory in a run that then ends well.
        if (_holdings.Cgroup is { } cgroup)
        {
            Volatile.Write(ref _knownKills, cgroup.MemoryKills);
        }
    }

    public void DenyNetwork() => _holdings.Network?.Deny();

    public long MeasureMemory() => _process.Exited.IsCompleted ? 0 : _holdings.Cgroup?.MeasureMemory() ?? MeasureMemory(_maker.Processes.Recent());

    public long MeasureMemory(ProcessTable now) => _process.Exited.IsCompleted ? 0 : now.PrivateBytes(_process.Pid);

    public TimeSpan? MeasureCpuTime() =>
        _process.Exited.IsCompleted ? null : _holdings.Cgroup is { } cgroup ? cgroup.MeasureCpuTime() : _maker.Processes.Recent().CpuTime(_process.Pid);

    public bool CanPause => _holdings.Cgroup?.Freezer is not null;

    public void Pause()
    {
        if (Freezer.Freeze())
        {
            Volatile.Write(ref _pausedAtMs, Environment.TickCount64);
            SandboxesMetrics.PauseBegan();
        }
    }

    public void Resume()
    {
        if (Freezer.Thaw())
        {
            SandboxesMetrics.Resumed();
        }
    }

    public void EndForMemory()
    {
        _memoryExhausted = true;
        Kill();
    }

    public ValueTask StopAsync()
    {
        lock (_stopLock)
        {
            return new ValueTask(_stopping ??= StopOnceAsync());
        }
    }

    public ValueTask DisposeAsync() => StopAsync();

    /// <summary>True when the sandbox was not paused for all the time since then, in milliseconds of <see cref="Environment.TickCount64"/>.</summary>
    internal bool RanSince(long ticksMs) => _holdings.Cgroup?.Freezer?.IsPaused is not true || Volatile.Read(ref _pausedAtMs) >= ticksMs;

    /// <summary>
    /// The number of packets that wait in its network, and how many of them are small (<see cref="WaitingPackets"/>); none where the kernel does not say.
    /// The calling thread moves into that network and back.
    /// </summary>
    internal (long All, long Small) CountPackets() =>
        _process.Exited.IsCompleted ? default : WaitingPackets.Count(PidInNetwork(), _holdings.Network?.Address ?? 0, _holdings.Cgroup?.MeasureSockets() ?? 0) ?? default;

    /// <summary>A process in its network namespace: bubblewrap where it was started in a prepared one, else bubblewrap's child. 0 when there is none.</summary>
    internal int PidInNetwork() => _holdings.Network is null ? Inside(_process).FirstOrDefault() : _process.Pid;

    /// <summary>Kills the init of the pid namespace, with which the kernel kills all processes in it, and then bubblewrap.</summary>
    internal static void KillFirstInside(SpawnedProcess bubblewrap)
    {
        foreach (var child in Inside(bubblewrap))
        {
            _ = Libc.Kill(child, Libc.SigKill);
        }

        bubblewrap.Signal(Libc.SigKill);
    }

    private static int[] Inside(SpawnedProcess bubblewrap)
    {
        try
        {
            var children = File.ReadAllText($"/proc/{bubblewrap.Pid}/task/{bubblewrap.Pid}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return Array.ConvertAll(children, static child => int.Parse(child, CultureInfo.InvariantCulture));
        }
        catch (IOException)
        {
            // bubblewrap is gone, and the processes inside with it.
            return [];
        }
    }

    private async Task<SandboxExit> AwaitExitAsync()
    {
        var code = await _process.Exited;
        _memoryExhausted |= _holdings.Cgroup?.MemoryKills > Volatile.Read(ref _knownKills);
        return new SandboxExit(code);
    }

    private Freezer Freezer => _holdings.Cgroup?.Freezer ?? throw new NotSupportedException($"Sandbox {Label} cannot be paused here.");

    private void Kill()
    {
        KillFirstInside(_process);
        if (_holdings.Cgroup?.Kill() is true)
        {
            SandboxesMetrics.StoppedWhilePaused();
        }
    }

    private async Task StopOnceAsync()
    {
        Kill();
        await Exited;
        _maker.Forget(this);
        _channel.Dispose();
        _process.Dispose();
        await _maker.GiveBackAsync(_holdings);
    }
}
