using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Threading.Channels;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes.Network;

/// <summary>Networks for sandboxes: each a namespace with one link to the host, made ahead, used once.</summary>
/// <remarks>
/// The host routes and translates their packets; an nft table of ours decides which hosts they may reach. A sandbox cannot change any rule or route:
/// its network namespace belongs to the host's user namespace, over which no process inside has a capability.
/// </remarks>
internal sealed partial class EgressNetwork : IAsyncDisposable
{
    internal const string BridgePrefix = "fg";

    private readonly SandboxesOptions _options;
    private readonly InstanceFolder _instance;
    private readonly Spawner _spawner;
    private readonly AddressBlock _block;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Channel<SandboxNetwork> _ready;
    private readonly Channel<SandboxNetwork> _used;

    // Says that at most half of the networks are ready. They are made several at a time, which costs little more than one.
    private readonly Channel<bool> _low = Channel.CreateBounded<bool>(1);
    private readonly CancellationTokenSource _stopping = new();
    private readonly NameForwarder _names;
    private readonly Task _filling;
    private readonly Task _removing;
    private int _number;

    private EgressNetwork(SandboxesOptions options, InstanceFolder instance, Spawner spawner, AddressBlock block, TimeProvider time, ILogger log)
    {
        (_options, _instance, _spawner, _block, _time, _log) = (options, instance, spawner, block, time, log);
        _ready = Channel.CreateBounded<SandboxNetwork>(options.Network.Ready);

        // Places for more networks than there are addresses, so that giving back never waits.
        _used = Channel.CreateBounded<SandboxNetwork>(2048);
        _names = new NameForwarder(block.Gateway, NameForwarder.ReadServers("/etc/resolv.conf"), options.Network, time, log);
        _filling = FillAsync();
        _removing = RemoveAsync();
    }

    /// <summary>The only address of the host that sandboxes reach.</summary>
    internal IPAddress Gateway => _block.Gateway;

    internal IPEndPoint ApiEndpoint => new(Gateway, _options.Network.ApiPort);

    /// <summary>Networks that sandboxes can have at a time: one for each address, without those that are kept ready.</summary>
    internal int Most => Math.Max(1, AddressBlock.Addresses - _options.Network.Ready);

    /// <summary>False where the kernel cannot bound the rate of a sandbox's connections to itself.</summary>
    internal bool BoundsLoopback { get; private init; }

    private string LinkPrefix => LinksOf(_instance);

    /// <summary>Sets up bridge, rules and pool. To be called under the run lock.</summary>
    /// <returns>The network, and the reason why it does not count connections, empty where it does; or null and the reason why there is no network.</returns>
    /// <exception cref="InvalidOperationException">The options demand a network, and this host cannot have one; the message says why.</exception>
    internal static async Task<(EgressNetwork? Network, string Reason)> TryCreateAsync(
        SandboxesOptions options, InstanceFolder instance, Spawner spawner, TimeProvider time, ILogger log, CancellationToken cancellationToken)
    {
        if (options.Network.Mode is SandboxNetworkOptions.None)
        {
            return (null, $"The configuration says so ({SandboxNetworkOptions.Section}:{nameof(options.Network.Mode)}).");
        }

        var (network, reason) = Libc.EffectiveUser() != 0
            ? (null, "The server would have to run as root to give them one.")
            : Tool.Find("ip") is null || Tool.Find("nft") is null
                ? (null, "The tools ip (iproute2) and nft (nftables) would have to be installed.")
                : await CreateAsync(options, instance, spawner, time, log, cancellationToken);
        return network is null && options.Network.Mode is SandboxNetworkOptions.Egress
            ? throw new InvalidOperationException($"{SandboxNetworkOptions.Section}:{nameof(options.Network.Mode)} is {SandboxNetworkOptions.Egress}, but sandboxes can have no network here. {reason}")
            : (network, reason);
    }

    /// <summary>Takes a ready network, or waits until one is made. A network is never shared.</summary>
    internal async ValueTask<SandboxNetwork> TakeAsync(CancellationToken cancellationToken)
    {
        var network = await _ready.Reader.ReadAsync(cancellationToken);
        if (_ready.Reader.Count <= _options.Network.Ready / 2)
        {
            _low.Writer.TryWrite(true);
        }

        return network;
    }

    /// <summary>Takes back a network whose sandbox has ended. It is removed, not used again.</summary>
    internal void GiveBack(SandboxNetwork network)
    {
        var isTaken = _used.Writer.TryWrite(network);
        Debug.Assert(isTaken || _stopping.IsCancellationRequested, "There is a place for each address.");
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _filling;
        _used.Writer.Complete();
        await _removing;
        await _names.DisposeAsync();
        while (_ready.Reader.TryRead(out var network))
        {
            network.Dispose();
        }

        await TryAsync(() => Tool.RunAsync(_spawner, "ip", ["link", "delete", BridgeName(_instance)]));
        await TryAsync(async () =>
        {
            using (await PacketForwarding.TakeLockAsync(_time, CancellationToken.None))
            {
                // Forwarding is turned off before the rules go: they keep a host closed that did not route before us.
                PacketForwarding.TurnOffAfterTheLast();
            }

            _ = await Tool.RunAsync(_spawner, "nft", ["delete", "table", "inet", TableName(_instance)]);
        });
        _stopping.Dispose();
    }

    private static string BridgeName(InstanceFolder instance) => BridgePrefix + instance.Id;

    private static string LinksOf(InstanceFolder instance) => FirewallRules.AnyLink + instance.Id;

    private static string TableName(InstanceFolder instance) => $"frusta_{instance.Id}";

    private static async Task<(EgressNetwork? Network, string Reason)> CreateAsync(
        SandboxesOptions options, InstanceFolder instance, Spawner spawner, TimeProvider time, ILogger log, CancellationToken cancellationToken)
    {
        // Taken before anything is made, so that there is nothing to give back when the lock cannot be had.
        using var alone = await PacketForwarding.TakeLockAsync(time, cancellationToken);
        if (AddressBlock.Claim(options, instance) is not { } block)
        {
            return (null, $"Every part of {SandboxNetworkOptions.Section}:{nameof(options.Network.Subnet)} {options.Network.Subnet} overlaps a route of this host.");
        }

        // The bridge has no ports. It only holds the gateway's address, so that the server can listen there before the first sandbox.
        instance.Note(NoteKind.Link, BridgeName(instance));
        var bridge = $"link add {BridgeName(instance)} type bridge\naddr add {block.Gateway}/32 dev {BridgeName(instance)}\nlink set {BridgeName(instance)} up\n";
        if (await RunBatchAsync(spawner, instance, "ip", "bridge", bridge) is { } noBridge)
        {
            return (null, noBridge);
        }

        instance.Note(NoteKind.Table, TableName(instance));
        var unbounded = await LoadRulesAsync(countConnections: true);
        if (unbounded is not null && await LoadRulesAsync(countConnections: false) is { } noRules)
        {
            return (null, noRules);
        }

        PacketForwarding.TurnOn();
        using var tried = SandboxNetwork.Create("", options.Network.LoopbackConnectionsPerSecond);
        return (new EgressNetwork(options, instance, spawner, block, time, log) { BoundsLoopback = tried.BoundsLoopback }, unbounded ?? "");

        Task<string?> LoadRulesAsync(bool countConnections) => RunBatchAsync(
            spawner,
            instance,
            "nft",
            "rules",
            FirewallRules.Write(TableName(instance), LinksOf(instance), block, options.Network, closeForwarding: PacketForwarding.WasOff(), countConnections));
    }

    /// <summary>Runs a tool with a file of commands; null on success, else the tool's error as a sentence.</summary>
    private static async Task<string?> RunBatchAsync(Spawner spawner, InstanceFolder instance, string tool, string name, string commands)
    {
        var file = Path.Combine(instance.Path, name);
        await File.WriteAllTextAsync(file, commands);
        var (code, error) = await Tool.RunAsync(spawner, tool, [tool is "ip" ? "-batch" : "-f", file]);
        return code == 0 ? null : $"{tool} refused (exit code {code}): {error}";
    }

    private async Task FillAsync()
    {
        var pause = TimeSpan.FromMilliseconds(50);
        try
        {
            do
            {
                while (_ready.Reader.Count < _options.Network.Ready)
                {
                    var made = await MakeAsync(_options.Network.Ready - _ready.Reader.Count);
                    foreach (var network in made)
                    {
                        await _ready.Writer.WriteAsync(network, _stopping.Token);
                    }

                    if (made.Count == 0)
                    {
                        // No address is free, or the kernel refuses: sandboxes that end give some back.
                        await Task.Delay(pause, _time, _stopping.Token);
                    }
                }
            }
            while (await _low.Reader.ReadAsync(_stopping.Token));
        }
        catch (OperationCanceledException)
        {
            // The maker is being disposed of.
        }
    }

    /// <summary>Makes several networks at once, because most of the cost is the start of the tool; none when it fails.</summary>
    private async Task<List<SandboxNetwork>> MakeAsync(int count)
    {
        var networks = new List<(SandboxNetwork Network, uint Address)>(count);
        var commands = new StringBuilder();
        try
        {
            while (networks.Count < count && _block.Take() is { } address)
            {
                var link = string.Create(CultureInfo.InvariantCulture, $"{LinkPrefix}{++_number:x}");
                var network = CreateNetwork(link, address);
                networks.Add((network, address));
                var inside = string.Create(CultureInfo.InvariantCulture, $"/proc/{Environment.ProcessId}/fd/{network.Namespace.DangerousGetHandle()}");
                commands.Append(CultureInfo.InvariantCulture, $"link add {link} type veth peer name eth0 address {HardwareAddress(address)} netns {inside}\n");
                commands.Append(CultureInfo.InvariantCulture, $"addr add {Gateway}/32 peer {AddressBlock.Address(address)}/32 dev {link}\nlink set {link} up\n");
            }

            if (networks.Count > 0 && await RunBatchAsync(_spawner, _instance, "ip", "links", commands.ToString()) is { } refused)
            {
                throw new IOException(refused);
            }

            var gateway = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(Gateway.GetAddressBytes());
            foreach (var (network, address) in networks)
            {
                network.Configure(address, gateway);

                // A packet whose source is not the sandbox's own is dropped by the kernel.
                await File.WriteAllTextAsync($"/proc/sys/net/ipv4/conf/{network.HostLink}/rp_filter", "1", CancellationToken.None);
            }

            return networks.ConvertAll(static made => made.Network);
        }
        catch (Exception refused)
        {
            // Every exception is caught: if the loop ended, no sandbox would ever start again.
            LogNotMade(refused);
            foreach (var (network, address) in networks)
            {
                network.Dispose();
                _block.GiveBack(address);
            }

            return [];
        }
    }

    /// <summary>
    /// The link's hardware address, made of the network address as Docker makes it. So the Node runner can tell it, which otherwise takes netlink.
    /// </summary>
    private static string HardwareAddress(uint address) =>
        string.Create(CultureInfo.InvariantCulture, $"02:42:{address >> 24:x2}:{(address >> 16) & 0xff:x2}:{(address >> 8) & 0xff:x2}:{address & 0xff:x2}");

    private SandboxNetwork CreateNetwork(string link, uint address)
    {
        try
        {
            return SandboxNetwork.Create(link, _options.Network.LoopbackConnectionsPerSecond);
        }
        catch
        {
            _block.GiveBack(address);
            throw;
        }
    }

    private async Task RemoveAsync()
    {
        var networks = new List<SandboxNetwork>();
        while (await _used.Reader.WaitToReadAsync(CancellationToken.None))
        {
            var commands = new StringBuilder();
            while (_used.Reader.TryRead(out var network))
            {
                commands.Append("link delete ").Append(network.HostLink).Append('\n');
                networks.Add(network);
            }

            // The link goes before the address is free: two links with one address would share a route.
            await TryAsync(async () =>
            {
                if (await RunBatchAsync(_spawner, _instance, "ip", "removed", commands.ToString()) is { } refused)
                {
                    LogNotRemoved(refused);
                }
            });

            foreach (var network in networks)
            {
                network.Dispose();
                _block.GiveBack(network.Address);
            }

            networks.Clear();
        }
    }

    /// <summary>Removes something. A failure, such as that no descriptor is free, is logged and must not end the server.</summary>
    private async Task TryAsync(Func<Task> remove)
    {
        try
        {
            await remove();
        }
        catch (Exception failure)
        {
            LogNotRemoved(failure.Message);
        }
    }

    [LoggerMessage(EventId = 5030, Level = LogLevel.Error, Message = "Networks for sandboxes could not be made. Starts of sandboxes wait for one; the next try is made in a moment")]
    private partial void LogNotMade(Exception refused);

    [LoggerMessage(EventId = 5031, Level = LogLevel.Warning, Message = "Networks of sandboxes that ended could not be removed: {Reason}")]
    private partial void LogNotRemoved(string reason);
}
