using System.Net;
using System.Net.Sockets;
using Frusta.Sandboxes.Bubblewrap;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

public sealed class NetworkTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    [Fact]
    public async Task The_platforms_api_is_reached_on_the_gateway()
    {
        var listener = ListenOnGateway();
        using (listener)
        {
            await using var sandbox = await host.StartAsync();
            var api = host.Maker.ApiEndpoint!;
            var asking = sandbox.AskAsync($"socket.create_connection(('{api.Address}', {api.Port}), 5).recv(5)");
            using var client = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
            await client.SendAsync("hello"u8.ToArray(), TestContext.Current.CancellationToken);
            Assert.Equal("b'hello'", await asking);
        }
    }

    [Fact]
    public async Task Another_port_of_the_gateway_is_refused()
    {
        host.RequireMaker();
        RequireNetwork();
        using var other = new TcpListener(host.Maker.ApiEndpoint!.Address, 0);
        other.Start();
        await using var sandbox = await host.StartAsync();
        Assert.StartsWith("ERROR", await sandbox.AskAsync($"socket.create_connection(('{host.Maker.ApiEndpoint.Address}', {((IPEndPoint)other.LocalEndpoint).Port}), 2)"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_sandbox_is_not_reached()
    {
        await using var first = await host.StartAsync();
        RequireNetwork();
        await using var second = await host.StartAsync();
        var address = await OwnAddressAsync(first);
        Assert.NotEqual(address, await OwnAddressAsync(second), StringComparer.Ordinal);
        await first.AskAsync("globals().update(l=socket.create_server(('0.0.0.0', 8080)))");
        Assert.StartsWith("ERROR", await second.AskAsync($"socket.create_connection(('{address}', 8080), 2)"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Link_local_addresses_are_refused_at_once()
    {
        await using var sandbox = await host.StartAsync();
        RequireNetwork();
        var answer = await sandbox.AskAsync("socket.create_connection(('169.254.169.254', 80), 10)");
        Assert.DoesNotContain("timed out", answer, StringComparison.Ordinal);
        Assert.StartsWith("ERROR", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Its_routes_and_links_are_not_its_own_to_change()
    {
        await using var sandbox = await host.StartAsync();
        RequireNetwork();
        // SIOCSIFFLAGS on eth0, and a forged source address.
        Assert.Contains("Operation not permitted", await sandbox.AskAsync("__import__('fcntl').ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, b'eth0'.ljust(16, b'\\0') + b'\\0' * 24)"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_denied_network_is_gone_at_once()
    {
        var listener = ListenOnGateway();
        using (listener)
        {
            await using var sandbox = await host.StartAsync();
            sandbox.DenyNetwork();
            var api = host.Maker.ApiEndpoint!;
            Assert.Contains("unreachable", await sandbox.AskAsync($"socket.create_connection(('{api.Address}', {api.Port}), 5)"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_sandbox_sends_to_other_hosts_under_the_hosts_address()
    {
        // A second network namespace plays the other host: nothing has to leave this machine.
        await using var sandbox = await host.StartAsync();
        RequireNetwork();
        using var other = new OtherHost("203.0.113.9", "203.0.113.8");
        using var listener = other.Listen(8080);
        var asking = sandbox.AskAsync("socket.create_connection(('203.0.113.9', 8080), 5).recv(5)");
        using var client = await listener.AcceptAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.Equal("203.0.113.8", ((IPEndPoint)client.RemoteEndPoint!).Address.ToString());
        await client.SendAsync("hello"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("b'hello'", await asking);
    }

    [Fact]
    public async Task Another_instance_that_ends_does_not_take_the_network_along()
    {
        host.RequireMaker();
        RequireNetwork();
        using var folder = new RunFolder();
        folder.Options.Network.Subnet = "10.95.0.0/16";
        var (other, reason) = await BubblewrapSandboxMaker.TryCreateAsync(folder.Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        Assert.Equal("", reason);
        await other!.DisposeAsync();
        Assert.StartsWith("1", await File.ReadAllTextAsync("/proc/sys/net/ipv4/ip_forward", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_opens_too_many_connections_is_refused_more_until_it_closes_some_and_its_neighbour_is_not()
    {
        host.RequireMaker();
        RequireNetwork();
        using var folder = new RunFolder();
        (folder.Options.Network.Subnet, folder.Options.Network.Connections, folder.Options.Network.ApiPort) = ("10.95.0.0/16", 16, 3235);
        var (maker, _) = await BubblewrapSandboxMaker.TryCreateAsync(folder.Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        await using var small = maker!;
        Assert.Contains("16 connections", small.Report.Limits, StringComparer.Ordinal);
        using var listener = new TcpListener(small.ApiEndpoint!);
        listener.Start();
        await using var sandbox = await small.StartAsync(Workload.Python(), TestContext.Current.CancellationToken);
        await using var neighbour = await small.StartAsync(Workload.Python(), TestContext.Current.CancellationToken);
        var connect = $"socket.create_connection(('{small.ApiEndpoint!.Address}', {small.ApiEndpoint.Port}), 5)";

        // Questions for names, each from a port of its own, are none.
        await sandbox.AskAsync($"[socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'no question', ('{small.ApiEndpoint.Address}', 53)) for _ in range(40)]");
        Assert.Equal("16", await sandbox.AskAsync($"len(globals().setdefault('open', [{connect} for _ in range(16)]))"));
        Assert.Contains("No route to host", await sandbox.AskAsync(connect), StringComparison.Ordinal);
        Assert.StartsWith("<socket", await neighbour.AskAsync(connect), StringComparison.Ordinal);

        // Reset, as the listener that closes none would keep them half open.
        await sandbox.AskAsync("[(one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\0\\0\\0\\0'), one.close()) for one in open]");
        Assert.StartsWith("<socket", await sandbox.AskAsync(connect), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_that_the_host_knows_is_known_inside()
    {
        host.RequireMaker();
        RequireNetwork();
        var name = Environment.GetEnvironmentVariable("FRUSTA_TEST_NAME") ?? "example.com";
        IPAddress[] addresses = [];
        try
        {
            addresses = await Dns.GetHostAddressesAsync(name, AddressFamily.InterNetwork, TestContext.Current.CancellationToken);
        }
        catch (SocketException)
        {
            // No name server answers here.
        }

        Assert.SkipWhen(addresses.Length == 0, $"This host cannot resolve {name}.");
        await using var sandbox = await host.StartAsync();
        Assert.Contains(IPAddress.Parse(await sandbox.AskAsync($"socket.gethostbyname('{name}')")), addresses);
    }

    [Fact]
    public void Name_servers_are_read_in_their_order()
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, "# comment\nsearch x\nnameserver 10.0.0.1\nnameserver\t::1\nnameserver nonsense\n");
        Assert.Equal([IPEndPoint.Parse("10.0.0.1:53"), new IPEndPoint(IPAddress.IPv6Loopback, 53)], Frusta.Sandboxes.Network.NameForwarder.ReadServers(file));
        File.Delete(file);
    }

    private static async Task<string> OwnAddressAsync(ISandbox sandbox) =>
        await sandbox.AskAsync("(lambda s: (s.connect(('203.0.113.7', 9)), s.getsockname()[0])[1])(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))");

    private TcpListener ListenOnGateway()
    {
        host.RequireMaker();
        RequireNetwork();
        var listener = new TcpListener(host.Maker.ApiEndpoint!);
        listener.Start();
        return listener;
    }

    private void RequireNetwork() => TestRun.Require(host.Maker.ApiEndpoint is not null, string.Join(' ', host.Maker.Report.Missing));
}
