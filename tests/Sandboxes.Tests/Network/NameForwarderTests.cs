using System.Net;
using System.Net.Sockets;
using Frusta.Sandboxes.Network;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Network;

public sealed class NameForwarderTests
{
    private static readonly IPAddress Gateway = IPAddress.Parse("127.91.0.1");

    [Fact]
    public async Task Questions_and_answers_pass_over_both_protocols_and_a_silent_server_is_skipped()
    {
        Assert.SkipUnless(Environment.UserName is "root", "Port 53 takes root.");
        var token = TestContext.Current.CancellationToken;
        using var silent = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        silent.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var datagrams = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        // One port for both protocols: on an address from which nobody else connects.
        datagrams.Bind(new IPEndPoint(IPAddress.Parse("127.91.0.3"), 0));
        var server = (IPEndPoint)datagrams.LocalEndPoint!;
        using var streams = new TcpListener(server);
        streams.Start();
        var options = new SandboxNetworkOptions { NameLookupTimeoutMs = 200 };

        await using var overDatagrams = new NameForwarder(Gateway, [(IPEndPoint)silent.LocalEndPoint!, server], options, TimeProvider.System, NullLogger.Instance);
        using var asker = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await asker.SendToAsync("this question"u8.ToArray(), new IPEndPoint(Gateway, 53), token);
        var buffer = new byte[100];
        var asked = await datagrams.ReceiveFromAsync(buffer, server, token);
        Assert.Equal("this question"u8.ToArray(), buffer[..asked.ReceivedBytes]);
        await datagrams.SendToAsync("answer"u8.ToArray(), asked.RemoteEndPoint, token);
        Assert.Equal(6, await asker.ReceiveAsync(buffer, token));

        var gateway = IPAddress.Parse("127.91.0.2");
        await using var overStreams = new NameForwarder(gateway, [server], new SandboxNetworkOptions(), TimeProvider.System, NullLogger.Instance);
        using var client = new TcpClient();
        await client.ConnectAsync(gateway, 53, token);
        await client.GetStream().WriteAsync(new byte[] { 0, 2, 7, 8 }, token);
        using var accepted = await streams.AcceptTcpClientAsync(token);
        await accepted.GetStream().ReadExactlyAsync(buffer.AsMemory(0, 4), token);
        Assert.Equal([0, 2, 7, 8], buffer[..4]);
        await accepted.GetStream().WriteAsync(new byte[] { 0, 1, 9 }, token);
        await client.GetStream().ReadExactlyAsync(buffer.AsMemory(0, 3), token);
        Assert.Equal([0, 1, 9], buffer[..3]);
    }

    [Fact]
    public async Task An_asker_that_floods_leaves_the_look_ups_of_others_alone()
    {
        Assert.SkipUnless(Environment.UserName is "root", "Port 53 takes root.");
        var token = TestContext.Current.CancellationToken;
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var gateway = IPAddress.Parse("127.91.0.3");
        await using var forwarder = new NameForwarder(
            gateway, [(IPEndPoint)server.LocalEndPoint!], new SandboxNetworkOptions { NameLookupTimeoutMs = 60_000, NameLookups = 64 }, TimeProvider.System, NullLogger.Instance);
        using var flooder = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        flooder.Bind(new IPEndPoint(IPAddress.Parse("127.91.1.1"), 0));
        other.Bind(new IPEndPoint(IPAddress.Parse("127.91.1.2"), 0));

        // The forwarder takes datagrams in their order, so that the other's comes after all of these.
        for (var i = 0; i < 100; i++)
        {
            await flooder.SendToAsync("one of a hundred"u8.ToArray(), new IPEndPoint(gateway, 53), token);
            await flooder.SendToAsync("too short"u8.ToArray(), new IPEndPoint(gateway, 53), token);
        }

        await other.SendToAsync("the other's"u8.ToArray(), new IPEndPoint(gateway, 53), token);
        await other.SendToAsync("the other asks"u8.ToArray(), new IPEndPoint(gateway, 53), token);

        var asked = new List<string>();
        var buffer = new byte[100];
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(token);
        giveUp.CancelAfter(TimeSpan.FromMinutes(1));
        while (!asked.Contains("the other asks"))
        {
            var length = await server.ReceiveAsync(buffer, giveUp.Token);
            asked.Add(System.Text.Encoding.ASCII.GetString(buffer, 0, length));
        }

        Assert.InRange(asked.Count(static question => question is "one of a hundred"), 1, 16);
        Assert.DoesNotContain(asked, static question => question.Length < 12);
    }
}
