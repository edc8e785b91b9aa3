using System.Globalization;
using System.Runtime.InteropServices;
using Frusta.Sandboxes.Cgroups;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Network;
using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>The things of the host that one sandbox has while it runs.</summary>
/// <param name="Label">Its name.</param>
/// <param name="User">Host user of its own, or null where it runs as the server's user.</param>
/// <param name="Cgroup">Its cgroup, or null where there is none.</param>
/// <param name="Network">Its prepared network, or null for an empty one.</param>
internal sealed record SandboxHoldings(string Label, uint? User, Cgroup? Cgroup, SandboxNetwork? Network);

/// <summary>Builds sandboxes with a cgroup, user and network where the host has them, and gives these back when a sandbox has ended.</summary>
internal sealed partial class SandboxBuilder
{
    // Behind the channel's two. bubblewrap reads this one and the next, which has its arguments, and closes both; the program inherits only the channel.
    private const int SeccompDescriptor = 5;
    private const string OomScore = "800";

    private readonly SandboxesOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly InstanceFolder _instance;
    private readonly Spawner _spawner;
    private readonly string _program;
    private readonly string? _filter;
    private readonly UserRange? _users;
    private readonly CgroupHierarchy? _cgroups;
    private readonly EgressNetwork? _network;
    private readonly BubblewrapArguments _arguments;
    private readonly MountSources _sources;
    private int _number;

    internal SandboxBuilder(
        SandboxesOptions options, TimeProvider time, ILogger log, InstanceFolder instance, Spawner spawner, string program, UserRange? users, CgroupHierarchy? cgroups, EgressNetwork? network)
    {
        (_options, _time, _log, _instance, _spawner, _program) = (options, time, log, instance, spawner, program);
        (_users, _cgroups, _network) = (users, cgroups, network);
        _sources = new MountSources(instance);
        if (SystemCallFilter.Build(RuntimeInformation.ProcessArchitecture) is { } filter)
        {
            _filter = Path.Combine(instance.Path, "seccomp.bpf");
            File.WriteAllBytes(_filter, filter);
        }

        var settings = SystemFiles.WriteSettings(instance, network?.Gateway.ToString());
        _arguments = new BubblewrapArguments(options, settings, _filter is null ? null : SeccompDescriptor);
    }

    /// <summary>False where no system call filter is known for the processor.</summary>
    internal bool Filters => _filter is not null;

    /// <summary>Number of sandboxes that there are users for.</summary>
    internal int MostUsers => _users is null ? int.MaxValue : _options.UserIds;

    /// <summary>Builds a sandbox: takes network, user and cgroup, starts bubblewrap, bounds it while it waits for its arguments, and sends them.</summary>
    internal async Task<LaunchedSandbox> BuildAsync(SandboxSpec spec, bool vacant, CancellationToken cancellationToken)
    {
        var label = string.Create(CultureInfo.InvariantCulture, $"{spec.Purpose}-{Interlocked.Increment(ref _number)}");
        var holdings = await TakeAsync(label, spec, cancellationToken);
        SandboxChannel? channel = null;
        try
        {
            using var pipes = ChannelPipes.Open();
            channel = pipes.Host;
            var (process, input) = await LaunchAsync(spec, vacant, holdings, pipes.Inherited);
            return new LaunchedSandbox(holdings, process, channel, input, spec.MemoryMb);
        }
        catch
        {
            channel?.Dispose();
            await GiveBackAsync(holdings);
            throw;
        }
    }

    /// <summary>Ends a sandbox whose program has not said hello, and gives back its holdings.</summary>
    internal async Task EndAsync(LaunchedSandbox launched)
    {
        launched.Dispose();
        BubblewrapSandbox.KillFirstInside(launched.Process);
        await launched.Process.Exited;
        launched.Process.Dispose();
        launched.Channel.Dispose();
        await GiveBackAsync(launched.Holdings);
    }

    /// <summary>Gives back a sandbox's holdings: first its processes end, then its network and user may go to another sandbox, so that no two share them.</summary>
    internal async Task GiveBackAsync(SandboxHoldings holdings)
    {
        var ended = holdings.Cgroup is null || await holdings.Cgroup.EndAsync(TimeSpan.FromMilliseconds(_options.StopTimeoutMs), _time);
        if (!ended)
        {
            // Its user and network are given to no other sandbox: processes of this one may still use them.
            LogStuck(holdings.Label, _options.StopTimeoutMs);
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

    private async Task<SandboxHoldings> TakeAsync(string label, SandboxSpec spec, CancellationToken cancellationToken)
    {
        var network = _network is null ? null : await _network.TakeAsync(cancellationToken);
        uint? user = null;
        try
        {
            user = _users?.Take();
            return new SandboxHoldings(label, user, _cgroups?.Create(label, spec.MemoryMb), network);
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

    private async Task<(SpawnedProcess Process, SafeFileHandle? Input)> LaunchAsync(SandboxSpec spec, bool vacant, SandboxHoldings holdings, IReadOnlyList<SafeHandle> channel)
    {
        var countProcesses = holdings.User is not null;
        var (argumentsRead, argumentsWrite) = Libc.OpenPipe();
        var (inputRead, inputWrite) = vacant ? Libc.OpenPipe() : default((SafeFileHandle?, SafeFileHandle?));
        using var filter = _filter is null ? null : File.OpenHandle(_filter);
        using (argumentsRead)
        using (argumentsWrite)
        using (inputRead)
        {
            SafeHandle[] inherited = filter is null ? [.. channel, argumentsRead] : [.. channel, filter, argumentsRead];
            SpawnedProcess? process = null;
            try
            {
                process = await _spawner.StartAsync(new SpawnRequest
                {
                    Program = _program,
                    Arguments =
                    [
                        "--args", (2 + inherited.Length).ToString(CultureInfo.InvariantCulture), "--",
                        .. vacant ? [LaunchedSandbox.Shell] : spec.Command,
                    ],
                    StandardInput = inputRead,
                    Descriptors = inherited,
                    UserId = holdings.User,
                    NetworkNamespace = holdings.Network?.Namespace,
                    AsItsUser = pid => ResourceLimits.Apply(pid, _options.FileSizeMb, _options.OpenFiles, countProcesses ? _options.Processes : null),
                });
                Bound(process.Pid, spec, holdings);
                OutputPipe.Write(argumentsWrite, _arguments.Write(spec, _sources, ownNetwork: holdings.Network is null));
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

    [LoggerMessage(EventId = 5022, Level = LogLevel.Error, Message = "Sandbox {Label}: its processes did not end within {TimeoutMs} ms; its user and network stay out of use")]
    private partial void LogStuck(string label, int timeoutMs);
}
