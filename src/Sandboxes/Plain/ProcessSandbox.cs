using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Plain;

/// <summary>A plain process with a folder of its own. It is bounded, but not isolated.</summary>
internal sealed class ProcessSandbox : ISandbox, MemoryWatchdog.IWatched
{
    // Between two rounds the tree grows only by processes that it forks meanwhile; a few rounds find them all. A tree that forks faster is left after these.
    private const int KillRounds = 50;

    private readonly SpawnedProcess _process;
    private readonly SandboxChannel _channel;
    private readonly ProcessSandboxMaker _maker;
    private readonly string _folder;
    private readonly bool _addressSpaceMayBeLimited;
    private readonly Lock _stopLock = new();
    private Task? _stopping;
    private long _limitBytes;
    private volatile bool _memoryExhausted;

    internal ProcessSandbox(string label, string folder, SandboxSpec spec, SpawnedProcess process, SandboxChannel channel, ProcessSandboxMaker maker)
    {
        Label = label;
        _channel = channel;
        _folder = folder;
        _process = process;
        _maker = maker;
        _addressSpaceMayBeLimited = spec.AddressSpaceMayBeLimited;
        _limitBytes = (long)spec.MemoryMb << 20;
        Exited = AwaitExitAsync(process);
    }

    public string Label { get; }

    public SandboxEndpoint Endpoint => _channel;

    public SafeFileHandle StandardOutput => _process.StandardOutput;

    public SafeFileHandle StandardError => _process.StandardError;

    public Task<SandboxExit> Exited { get; }

    public bool MemoryExhausted => _memoryExhausted;

    public void ForgetKills()
    {
        // Nothing to forget: the watchdog kills the whole sandbox, and no run begins in it afterwards.
    }

    public long LimitBytes => Volatile.Read(ref _limitBytes);

    public void LimitMemory(int megabytes)
    {
        Volatile.Write(ref _limitBytes, (long)megabytes << 20);
        foreach (var pid in ProcessTable.Read().Tree(_process.Pid))
        {
            ResourceLimits.LimitMemory(pid, megabytes, _addressSpaceMayBeLimited);
        }
    }

    /// <summary>Does nothing: a plain process shares the host's network, as the maker's report says.</summary>
    public void DenyNetwork()
    {
    }

    public long MeasureMemory() => MeasureMemory(_maker.Processes.Recent());

    public long MeasureMemory(ProcessTable now) => _process.Exited.IsCompleted ? 0 : now.PrivateBytes(_process.Pid);

    public TimeSpan? MeasureCpuTime() => _process.Exited.IsCompleted ? null : _maker.Processes.Recent().CpuTime(_process.Pid);

    public bool CanPause => false;

    public void Pause() => throw new NotSupportedException("A plain process is not paused.");

    public void Resume()
    {
        // A plain process is never paused.
    }

    public void EndForMemory()
    {
        _memoryExhausted = true;
        KillTree();
    }

    public ValueTask StopAsync()
    {
        lock (_stopLock)
        {
            return new ValueTask(_stopping ??= StopOnceAsync());
        }
    }

    public ValueTask DisposeAsync() => StopAsync();

    private static async Task<SandboxExit> AwaitExitAsync(SpawnedProcess process) => new(await process.Exited);

    private async Task StopOnceAsync()
    {
        KillTree();
        await _process.Exited;
        _channel.Dispose();
        _process.Dispose();
        _maker.Forget(this, _folder);
    }

    private void KillTree()
    {
        for (var round = 0; round < KillRounds; round++)
        {
            var tree = ProcessTable.Read().Tree(_process.Pid);
            tree.Remove(Environment.ProcessId);
            if (tree.Count == 0)
            {
                return;
            }

            foreach (var pid in tree)
            {
                _ = Libc.Kill(pid, Libc.SigKill);
            }
        }
    }
}
