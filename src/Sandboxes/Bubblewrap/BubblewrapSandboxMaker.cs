using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Frusta.Sandboxes.Cgroups;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Network;
using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Starts sandboxes with bubblewrap: namespaces, no capabilities, a system call filter, a cgroup, and a host user each.</summary>
public sealed partial class BubblewrapSandboxMaker : ISandboxMaker
{
    private readonly SandboxesOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly InstanceFolder _instance;
    private readonly Spawner _spawner;
    private readonly StartGate _gate;
    private readonly MemoryWatchdog _watchdog;
    private readonly UncountedWatch _uncounted;
    private readonly CgroupHierarchy? _cgroups;
    private readonly EgressNetwork? _network;
    private readonly SandboxBuilder _builder;
    private readonly VacantSandboxes? _vacant;
    private readonly ConcurrentDictionary<string, BubblewrapSandbox> _running = new(StringComparer.Ordinal);

    private BubblewrapSandboxMaker(
        SandboxesOptions options, TimeProvider time, ILogger log, InstanceFolder instance, Spawner spawner, string program, UserRange? users, EgressNetwork? network, string networkReason)
    {
        _options = options;
        _time = time;
        _log = log;
        _instance = instance;
        _spawner = spawner;
        _network = network;
        Processes = new ProcessTables(time);
        _gate = new StartGate(options);
        _watchdog = new MemoryWatchdog(TimeSpan.FromMilliseconds(options.WatchdogIntervalMs), time);
        (_cgroups, var cgroupReason) = CgroupHierarchy.Open(options, instance);
        _uncounted = new UncountedWatch(options, () => _running.Values, _cgroups?.KernelMemory, log);
        _builder = new SandboxBuilder(options, time, log, instance, spawner, program, users, _cgroups, network);

        // Without a cgroup the memory bound is set on each process, and must be known before the first one starts.
        _vacant = _cgroups is null ? null : new VacantSandboxes(options.VacantKept, _builder, _gate, time);
        Report = Describe(users is not null, cgroupReason, networkReason);
    }

    public IsolationReport Report { get; }

    public int MostSandboxes => Math.Max(1, Math.Min(_builder.MostUsers, _network?.Most ?? int.MaxValue) - (_vacant?.Most ?? 0));

    /// <summary>The host's processes, in which sandboxes without a cgroup measure their own.</summary>
    internal ProcessTables Processes { get; }

    /// <summary>Number of vacant sandboxes.</summary>
    internal int Vacant => _vacant?.Count ?? 0;

    /// <summary>
    /// The endpoint on which the server must listen for calls of functions to the platform (<c>/api/v1</c> alone); null where sandboxes have no network.
    /// </summary>
    public IPEndPoint? ApiEndpoint => _network?.ApiEndpoint;

    /// <summary>Makes a maker, when this host can isolate.</summary>
    /// <returns>The maker, or null and a sentence that says why this host cannot.</returns>
    /// <exception cref="InvalidOperationException">The options demand a network that this host cannot have, or the run lock cannot be had.</exception>
    public static async Task<(BubblewrapSandboxMaker? Maker, string Reason)> TryCreateAsync(
        SandboxesOptions options, TimeProvider time, ILogger<BubblewrapSandboxMaker> log, CancellationToken cancellationToken)
    {
        if ((options.Bubblewrap.Length > 0 ? options.Bubblewrap : Tool.Find("bwrap")) is not { } program)
        {
            return (null, "bubblewrap (bwrap) is not installed.");
        }

        using var alone = await RunLock.TakeAsync(options, time, cancellationToken);
        var instance = InstanceFolder.Create(options);
        var spawner = new Spawner();
        var users = Libc.EffectiveUser() == 0 ? UserRange.Claim(options, instance) : null;
        if (await TryIsolateAsync(spawner, program, users) is { } reason)
        {
            spawner.Dispose();
            instance.Dispose();
            return (null, reason);
        }

        try
        {
            var (network, networkReason) = await EgressNetwork.TryCreateAsync(options, instance, spawner, time, log, cancellationToken);
            return (new BubblewrapSandboxMaker(options, time, log, instance, spawner, program, users, network, networkReason), "");
        }
        catch (OperationCanceledException)
        {
            spawner.Dispose();
            instance.Dispose();
            throw;
        }
    }

    public void Expect(SandboxSpec spec) => _vacant?.Expect(spec);

    public async ValueTask<ISandbox> StartAsync(SandboxSpec spec, CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        await _gate.EnterAsync(cancellationToken);
        try
        {
            var sandbox = await StartInsideAsync(spec, cancellationToken);
            Debug.Assert(!_running.ContainsKey(sandbox.Label), "A label is unique in this process.");
            _running[sandbox.Label] = sandbox;
            if (_cgroups is null)
            {
                _watchdog.Add(sandbox);
            }

            var elapsed = _time.GetElapsedTime(began);
            SandboxesMetrics.Started(elapsed);
            LogStarted(sandbox.Label, elapsed);
            return sandbox;
        }
        catch (Exception failure) when (failure is SandboxStartException or IOException or UnauthorizedAccessException)
        {
            SandboxesMetrics.StartFailed();
            throw new SandboxStartException($"A sandbox for {spec.Purpose} did not start. {failure.Message}", failure);
        }
        finally
        {
            _gate.Leave();
            _vacant?.Fill();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_vacant is not null)
        {
            await _vacant.DisposeAsync();
        }

        await Task.WhenAll(_running.Values.Select(static sandbox => sandbox.StopAsync().AsTask()));
        await _watchdog.DisposeAsync();
        _uncounted.Dispose();
        if (_network is not null)
        {
            await _network.DisposeAsync();
        }

        _spawner.Dispose();
        _gate.Dispose();
        if (_cgroups?.TryRemove() is false)
        {
            // The instance's folder stays too: in its notes the next start reads which things are left.
            LogLeft(_instance.Path);
            return;
        }

        _instance.Dispose();
    }

    /// <summary>Takes back the holdings of a sandbox that has ended.</summary>
    internal Task GiveBackAsync(SandboxHoldings holdings) => _builder.GiveBackAsync(holdings);

    internal void Forget(BubblewrapSandbox sandbox)
    {
        _watchdog.Remove(sandbox);
        _running.TryRemove(sandbox.Label, out _);
        SandboxesMetrics.Stopped();
        LogStopped(sandbox.Label);
    }

    /// <summary>Starts a sandbox: has a vacant one become the program, or builds one with it, and waits for its hello.</summary>
    private async Task<BubblewrapSandbox> StartInsideAsync(SandboxSpec spec, CancellationToken cancellationToken)
    {
        var vacant = _vacant is null ? null : await _vacant.TakeAsync(spec);
        var launched = vacant ?? await _builder.BuildAsync(spec, vacant: false, cancellationToken);
        try
        {
            vacant?.Become(spec);
            await Handshake.AwaitHelloAsync(_spawner, launched.Process, launched.Channel, _options, _time, cancellationToken);
            launched.Dispose();
            return new BubblewrapSandbox(launched.Holdings, spec, launched.Process, launched.Channel, this);
        }
        catch
        {
            await _builder.EndAsync(launched);
            throw;
        }
    }

    /// <summary>Tries to run a program in bubblewrap; null when that works, else a sentence with bubblewrap's error.</summary>
    private static async Task<string?> TryIsolateAsync(Spawner spawner, string program, UserRange? users)
    {
        var user = users?.Take();
        string[] arguments =
        [
            "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--disable-userns", "--cap-drop", "ALL",
            "--ro-bind", "/", "/", "--proc", "/proc", "--", "/bin/true",
        ];
        var (code, error) = await Tool.RunAsync(spawner, program, arguments, user);
        if (user is { } taken)
        {
            users!.GiveBack(taken);
        }

        return code == 0 ? null : $"bubblewrap cannot isolate here (exit code {code}): {error}";
    }

    private IsolationReport Describe(bool hasUsers, string cgroupReason, string networkReason)
    {
        List<string> isolates = ["processes, files, users, host name and IPC by namespaces", "no capabilities, no nested user namespaces"];
        List<string> limits = [_cgroups?.Words ?? "memory by resource limits and a watchdog", $"/tmp {_options.TmpMb} MB, {_options.OpenFiles} open files, {_options.FileSizeMb} MB a file"];
        List<string> missing = [];
        Say(_builder.Filters, isolates, "system calls by a seccomp filter", "There is no system call filter for this processor.");
        Say(hasUsers, isolates, "a host user for each sandbox", "All sandboxes run as one host user and their processes are not counted; as root each would have its own.");
        Say(_network is not null, isolates, $"network: other hosts by NAT, never this host ({_network?.ApiEndpoint} excepted)", $"Functions have no network. {networkReason}");
        if (_network is not null)
        {
            Say(networkReason.Length == 0, limits, $"{_options.Network.Connections} connections", $"Connections of a sandbox are not counted. {networkReason}");
            Say(
                _network.BoundsLoopback,
                limits,
                $"{_options.Network.LoopbackConnectionsPerSecond} connections a second to itself",
                "Connections of a sandbox to itself are not bounded by a rate: the kernel has no such rule. Load its modules nf_tables and nft_limit, or take a kernel that has them.");
        }

        Say(
            hasUsers && WaitingPackets.CountHere(own: 0, charged: 0) is not null,
            limits,
            "64 MB of memory that small pieces by TCP or UDP keep",
            "Memory that small pieces by TCP or UDP keep is not bounded: the server is not root, or the kernel does not tell of its sockets. Then load its module tcp_diag.");
        Say(_cgroups is { Freezes: true }, limits, $"idle ones stand still ({_cgroups?.FreezerWords})", "An idle sandbox is not paused; one that uses a core while idle is ended.");
        Say(
            _cgroups is not null,
            limits,
            $"memory above the limit ends the sandbox; {_cgroups?.ProcessesInAll} processes and threads in all",
            $"Nothing bounds the processes and the kernel memory of all sandboxes together. No cgroups: {cgroupReason}");
        return new IsolationReport(isolates, limits, missing);

        void Say(bool has, List<string> where, string good, string bad) => (has ? where : missing).Add(has ? good : bad);
    }

    [LoggerMessage(EventId = 5020, Level = LogLevel.Debug, Message = "Sandbox {Label}: started with bubblewrap in {Elapsed}")]
    private partial void LogStarted(string label, TimeSpan elapsed);

    [LoggerMessage(EventId = 5021, Level = LogLevel.Debug, Message = "Sandbox {Label}: stopped")]
    private partial void LogStopped(string label);

    [LoggerMessage(EventId = 5023, Level = LogLevel.Warning, Message = "Processes of sandboxes have not ended yet; the next start removes what is left. See {Folder}")]
    private partial void LogLeft(string folder);
}
