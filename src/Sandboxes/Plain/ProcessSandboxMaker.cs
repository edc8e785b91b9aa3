using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes.Plain;

/// <summary>Starts plain processes: for hosts that cannot isolate, and for development.</summary>
public sealed partial class ProcessSandboxMaker : ISandboxMaker
{
    private readonly SandboxesOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly InstanceFolder _instance;
    private readonly Spawner _spawner = new();
    private readonly StartGate _gate;
    private readonly MemoryWatchdog _watchdog;
    private readonly ConcurrentDictionary<string, ProcessSandbox> _running = new(StringComparer.Ordinal);
    private int _number;

    /// <summary>Makes the maker and its folder in the run folder.</summary>
    /// <exception cref="IOException">The folder cannot be made.</exception>
    public ProcessSandboxMaker(SandboxesOptions options, TimeProvider time, ILogger<ProcessSandboxMaker> log)
    {
        _options = options;
        _time = time;
        _log = log;
        _instance = InstanceFolder.Create(options);
        Processes = new ProcessTables(time);
        _gate = new StartGate(options);
        _watchdog = new MemoryWatchdog(TimeSpan.FromMilliseconds(options.WatchdogIntervalMs), time);
    }

    /// <summary>The host's processes, in which sandboxes measure their own.</summary>
    internal ProcessTables Processes { get; }

    public IsolationReport Report { get; } = new(
        Isolates: [],
        Limits: ["memory by resource limits and a watchdog", "open files and file size by resource limits", "one that uses a core while idle is ended"],
        Missing:
        [
            "Functions are NOT isolated: they run as this user, see its files and its network. Use it for code that you trust.",
            "bubblewrap (bwrap) on Linux would isolate them.",
        ]);

    public void Expect(SandboxSpec spec)
    {
        // A plain process needs nothing that could be built ahead.
    }

    public async ValueTask<ISandbox> StartAsync(SandboxSpec spec, CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        var label = string.Create(CultureInfo.InvariantCulture, $"{spec.Purpose}-{Interlocked.Increment(ref _number)}");
        await _gate.EnterAsync(cancellationToken);
        try
        {
            var sandbox = await StartAsync(label, spec, cancellationToken);
            _running[label] = sandbox;
            _watchdog.Add(sandbox);
            var elapsed = _time.GetElapsedTime(began);
            SandboxesMetrics.Started(elapsed);
            LogStarted(label, elapsed);
            return sandbox;
        }
        catch (Exception failure) when (failure is SandboxStartException or IOException)
        {
            SandboxesMetrics.StartFailed();
            throw new SandboxStartException($"Sandbox {label} did not start. {failure.Message}", failure);
        }
        finally
        {
            _gate.Leave();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var sandbox in _running.Values)
        {
            await sandbox.StopAsync();
        }

        await _watchdog.DisposeAsync();
        _spawner.Dispose();
        _gate.Dispose();
        _instance.Dispose();
    }

    /// <summary>Takes a sandbox that has ended off the lists, and removes its folder.</summary>
    internal void Forget(ProcessSandbox sandbox, string folder)
    {
        _watchdog.Remove(sandbox);
        _running.TryRemove(sandbox.Label, out _);
        if (!InstanceFolder.TryRemove(folder))
        {
            LogNotRemoved(sandbox.Label, folder);
        }

        SandboxesMetrics.Stopped();
        LogStopped(sandbox.Label);
    }

    private async Task<ProcessSandbox> StartAsync(string label, SandboxSpec spec, CancellationToken cancellationToken)
    {
        var folder = _instance.CreateSandboxFolder(label);
        SandboxChannel? channel = null;
        SpawnedProcess? process = null;
        try
        {
            using (var pipes = ChannelPipes.Open())
            {
                channel = pipes.Host;
                process = await _spawner.StartAsync(Describe(spec, folder, pipes.Inherited));
            }

            SessionNote.Write(folder, process.Pid);
            ResourceLimits.Apply(process.Pid, _options.FileSizeMb, _options.OpenFiles, processes: null);
            ResourceLimits.LimitMemory(process.Pid, spec.MemoryMb, spec.AddressSpaceMayBeLimited);
            await Handshake.AwaitHelloAsync(_spawner, process, channel, _options, _time, cancellationToken);
            return new ProcessSandbox(label, folder, spec, process, channel, this);
        }
        catch
        {
            process?.Signal(Libc.SigKill);
            process?.Dispose();
            channel?.Dispose();
            InstanceFolder.TryRemove(folder);
            throw;
        }
    }

    private static SpawnRequest Describe(SandboxSpec spec, string folder, IReadOnlyList<SafeHandle> channel)
    {
        // There are no mounts here: paths inside are replaced by those on the host.
        string Translate(string argument)
        {
            foreach (var mount in spec.Mounts)
            {
                argument = argument.Replace(mount.InsidePath, mount.HostPath, StringComparison.Ordinal);
            }

            return argument;
        }

        return new SpawnRequest
        {
            Program = Translate(spec.Command[0]),
            Arguments = [.. spec.Command.Skip(1).Select(Translate)],
            Environment = [.. spec.Environment.Select(static variable => $"{variable.Key}={variable.Value}")],
            Folder = folder,
            Descriptors = channel,
        };
    }

    [LoggerMessage(EventId = 5000, Level = LogLevel.Debug, Message = "Sandbox {Label}: started as a plain process in {Elapsed}")]
    private partial void LogStarted(string label, TimeSpan elapsed);

    [LoggerMessage(EventId = 5001, Level = LogLevel.Debug, Message = "Sandbox {Label}: stopped")]
    private partial void LogStopped(string label);

    [LoggerMessage(EventId = 5002, Level = LogLevel.Warning, Message = "Sandbox {Label}: something in its folder {Folder} cannot be removed; the next start of the server tries again")]
    private partial void LogNotRemoved(string label, string folder);
}
