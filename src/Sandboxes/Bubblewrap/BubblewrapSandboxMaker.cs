using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Frusta.Sandboxes.Cgroups;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Network;
using Frusta.Sandboxes.Plain;
using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Starts sandboxes with bubblewrap: namespaces, no capabilities, a system call filter, a cgroup, and a host user each.</summary>
public sealed partial class BubblewrapSandboxMaker : ISandboxMaker
{
    private const int SeccompDescriptor = 3;
    private const string OomScore = "800";

    private readonly SandboxesOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly InstanceFolder _instance;
    private readonly Spawner _spawner;
    private readonly StartGate _gate;
    private readonly MemoryWatchdog _watchdog;
    private readonly string _program;

    private readonly string? _filter;
    private readonly UserRange? _users;
    private readonly CgroupHierarchy? _cgroups;
    private readonly EgressNetwork? _network;
    private readonly BubblewrapArguments _arguments;
    private readonly MountSources _sources;
    private readonly VacantSandboxes? _vacant;
    private readonly ConcurrentDictionary<string, BubblewrapSandbox> _running = new(StringComparer.Ordinal);
    private int _number;

    private BubblewrapSandboxMaker(
        SandboxesOptions options, TimeProvider time, ILogger log, InstanceFolder instance, Spawner spawner, string program, UserRange? users, EgressNetwork? network, string networkReason)
    {
        _options = options;
        _time = time;
        _log = log;
        _instance = instance;
        _spawner = spawner;
        _program = program;
        _users = users;
        _network = network;
        _gate = new StartGate(options);
        _sources = new MountSources(instance);
        _watchdog = new MemoryWatchdog(options, time);
        (_cgroups, var cgroupReason) = CgroupHierarchy.Open(options, instance);
        if (SystemCallFilter.Build(RuntimeInformation.ProcessArchitecture) is { } filter)
        {
            _filter = Path.Combine(instance.Path, "seccomp.bpf");
            File.WriteAllBytes(_filter, filter);
        }

        var settings = SystemFiles.WriteSettings(instance, network?.Gateway.ToString());
        _arguments = new BubblewrapArguments(options, settings, _filter is null ? null : SeccompDescriptor);

        // Without a cgroup the bound on memory is set on each process, and must be known before the first one is there.
        _vacant = _cgroups is null ? null : new VacantSandboxes(options.Vacant, (spec, ended) => BuildAsync(spec, vacant: true, ended), EndAsync, () => !_gate.IsIdle, time);
        Report = Describe(cgroupReason, networkReason);
    }

    public IsolationReport Report { get; }

    /// <summary>How many sandboxes wait for a program.</summary>
    internal int Vacant => _vacant?.Count ?? 0;

    /// <summary>Where the server must listen for calls of functions to the platform, or null where sandboxes have no network. It serves <c>/api/v1</c> alone.</summary>
    public IPEndPoint? ApiEndpoint => _network?.ApiEndpoint;

    /// <summary>Makes a maker, when this host can isolate.</summary>
    /// <returns>The maker, or null and the reason why not.</returns>
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

        var (network, networkReason) = await EgressNetwork.TryCreateAsync(options, instance, spawner, time, log, cancellationToken);
        return (new BubblewrapSandboxMaker(options, time, log, instance, spawner, program, users, network, networkReason), "");
    }

    public void Expect(SandboxSpec spec) => _vacant?.Expect(spec);

    public async ValueTask<ISandbox> StartAsync(SandboxSpec spec, CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        await _gate.EnterAsync(cancellationToken);
        try
        {
            var sandbox = await StartInsideAsync(spec, cancellationToken);
            _running[sandbox.Label] = sandbox;
            if (_cgroups is null)
            {
                _watchdog.Add(sandbox);
            }

            var elapsed = _time.GetElapsedTime(began);
            SandboxesMetrics.Started(elapsed);
            LogDebugStarted(sandbox.Label, elapsed);
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
        if (_network is not null)
        {
            await _network.DisposeAsync();
        }

        _spawner.Dispose();
        _cgroups?.Remove();
        _gate.Dispose();
        _instance.Dispose();
    }

    internal void Forget(BubblewrapSandbox sandbox)
    {
        _watchdog.Remove(sandbox);
        _running.TryRemove(sandbox.Label, out _);
        SandboxesMetrics.Stopped();
        LogDebugStopped(sandbox.Label);
    }

    /// <summary>Gives back what a sandbox had, in the order in which nothing can be used by two: processes first, user and address last.</summary>
    internal async Task GiveBackAsync(SandboxHoldings holdings)
    {
        var ended = holdings.Cgroup is null || await holdings.Cgroup.EndAsync(TimeSpan.FromMilliseconds(_options.StopTimeoutMs), _time);
        Directory.Delete(holdings.Folder, recursive: true);
        if (!ended)
        {
            // Its user and network are not given to anybody else: something may still run as them.
            LogErrorStuck(holdings.Label, _options.StopTimeoutMs);
            return;
        }

        if (holdings.Network is { } network)
        {
            _network!.GiveBack(network);
        }

        if (holdings.User is { } user)
        {
            _users!.GiveBack(user);
        }
    }

    /// <summary>Starts one: have a vacant one become the program or build one with it, and await the connection.</summary>
    private async Task<BubblewrapSandbox> StartInsideAsync(SandboxSpec spec, CancellationToken cancellationToken)
    {
        var launched = await TakeVacantAsync(spec);
        var vacant = launched is not null;
        launched ??= await BuildAsync(spec, vacant: false, cancellationToken);
        try
        {
            if (vacant)
            {
                Occupy(launched, spec);
            }

            var channel = await launched.ConnectAsync(_options, _time, cancellationToken);
            launched.Dispose();
            return new BubblewrapSandbox(launched.Holdings, spec, launched.Process, channel, this);
        }
        catch
        {
            await EndAsync(launched);
            throw;
        }
    }

    private static void Occupy(LaunchedSandbox vacant, SandboxSpec spec)
    {
        if (vacant.MemoryMb != spec.MemoryMb)
        {
            vacant.Holdings.Cgroup!.LimitMemory(spec.MemoryMb);
        }

        vacant.Become(BubblewrapArguments.Command(spec));
    }

    private async Task<LaunchedSandbox?> TakeVacantAsync(SandboxSpec spec)
    {
        while (_vacant?.TryTake(spec) is { } vacant)
        {
            if (vacant.IsUp)
            {
                return vacant;
            }

            await EndAsync(vacant);
        }

        return null;
    }

    /// <summary>Builds one: take what it needs, start bubblewrap, bound it while it waits for its arguments, send them.</summary>
    private async Task<LaunchedSandbox> BuildAsync(SandboxSpec spec, bool vacant, CancellationToken cancellationToken)
    {
        var label = string.Create(CultureInfo.InvariantCulture, $"{spec.Purpose}-{Interlocked.Increment(ref _number)}");
        var holdings = await TakeAsync(label, spec, cancellationToken);
        ChannelListener? listener = null;
        try
        {
            listener = new ChannelListener(holdings.Folder, holdings.User);
            var (process, input) = await LaunchAsync(spec, vacant, holdings);
            return new LaunchedSandbox(holdings, process, listener, input, spec.MemoryMb);
        }
        catch
        {
            listener?.Dispose();
            await GiveBackAsync(holdings);
            throw;
        }
    }

    private async Task EndAsync(LaunchedSandbox launched)
    {
        launched.Dispose();
        BubblewrapSandbox.KillFirstInside(launched.Process);
        await launched.Process.Exited;
        launched.Process.Dispose();
        await GiveBackAsync(launched.Holdings);
    }

    private async Task<SandboxHoldings> TakeAsync(string label, SandboxSpec spec, CancellationToken cancellationToken)
    {
        var network = _network is null ? null : await _network.TakeAsync(cancellationToken);
        uint? user = null;
        try
        {
            user = _users?.Take();
            var folder = _instance.CreateSandboxFolder(label, user);
            return new SandboxHoldings(label, folder, user, _cgroups?.Create(label, spec.MemoryMb), network);
        }
        catch
        {
            if (user is { } unused)
            {
                _users!.GiveBack(unused);
            }

            if (network is not null)
            {
                _network!.GiveBack(network);
            }

            throw;
        }
    }

    private async Task<(SpawnedProcess Process, SafeFileHandle? Input)> LaunchAsync(SandboxSpec spec, bool vacant, SandboxHoldings holdings)
    {
        var countProcesses = holdings.User is not null;
        var (argumentsRead, argumentsWrite) = Libc.OpenPipe();
        var (inputRead, inputWrite) = vacant ? Libc.OpenPipe() : default((SafeFileHandle?, SafeFileHandle?));
        using var filter = _filter is null ? null : File.OpenHandle(_filter);
        using (argumentsRead)
        using (argumentsWrite)
        using (inputRead)
        {
            SafeFileHandle[] inherited = filter is null ? [argumentsRead] : [filter, argumentsRead];
            SpawnedProcess? process = null;
            try
            {
                process = await _spawner.StartAsync(new SpawnRequest
                {
                    Program = _program,
                    Arguments =
                    [
                        "--args", (2 + inherited.Length).ToString(CultureInfo.InvariantCulture), "--",
                        .. vacant ? [LaunchedSandbox.Shell] : BubblewrapArguments.Command(spec),
                    ],
                    StandardInput = inputRead,
                    Descriptors = inherited,
                    UserId = holdings.User,
                    NetworkNamespace = holdings.Network?.Namespace,
                    AsItsUser = pid => ResourceLimits.Apply(pid, _options, countProcesses),
                });
                Bound(process.Pid, spec, holdings);
                OutputPipe.Write(argumentsWrite, _arguments.Write(spec, holdings.Folder, _sources, ownNetwork: holdings.Network is null));
                return (process, inputWrite);
            }
            catch
            {
                inputWrite?.Dispose();
                if (process is not null)
                {
                    process.Signal(Libc.SigKill);
                    await process.Exited;
                    process.Dispose();
                }

                throw;
            }
        }
    }

    private static void Bound(int pid, SandboxSpec spec, SandboxHoldings holdings)
    {
        holdings.Cgroup?.Attach(pid);
        File.WriteAllText($"/proc/{pid}/oom_score_adj", OomScore);
        if (holdings.Cgroup is null)
        {
            ResourceLimits.LimitMemory(pid, spec.MemoryMb, spec.AddressSpaceMayBeLimited);
        }
    }

    /// <summary>Null when a sandbox can be made here, else the words of whoever refused.</summary>
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

    private IsolationReport Describe(string cgroupReason, string networkReason)
    {
        List<string> isolates = ["processes, files, users, host name and IPC by namespaces", "no capabilities, no nested user namespaces"];
        List<string> limits = [_cgroups?.Words ?? "memory by resource limits and a watchdog", $"/tmp {_options.TmpMb} MB, {_options.OpenFiles} open files, {_options.FileSizeMb} MB a file"];
        List<string> missing = [];
        Say(_filter is not null, isolates, "system calls by a seccomp filter", "There is no system call filter for this processor.");
        Say(_users is not null, isolates, "a host user for each sandbox", "All sandboxes run as one host user and their processes are not counted; as root each would have its own.");
        Say(_network is not null, isolates, $"network: other hosts by NAT, never this host ({_network?.ApiEndpoint} excepted)", $"Functions have no network. {networkReason}");
        Say(_cgroups is not null, limits, "memory above the limit ends the sandbox", $"No cgroups: {cgroupReason}");
        return new IsolationReport(isolates, limits, missing);

        void Say(bool has, List<string> where, string good, string bad) => (has ? where : missing).Add(has ? good : bad);
    }

    [LoggerMessage(EventId = 5020, Level = LogLevel.Debug, Message = "Sandbox {Label}: started with bubblewrap in {Elapsed}")]
    private partial void LogDebugStarted(string label, TimeSpan elapsed);

    [LoggerMessage(EventId = 5021, Level = LogLevel.Debug, Message = "Sandbox {Label}: stopped")]
    private partial void LogDebugStopped(string label);

    [LoggerMessage(EventId = 5022, Level = LogLevel.Error, Message = "Sandbox {Label}: its processes did not end within {TimeoutMs} ms; its user and network stay out of use")]
    private partial void LogErrorStuck(string label, int timeoutMs);
}
