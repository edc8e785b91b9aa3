using System.Net;
using System.Net.Sockets;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests.Processes;

public sealed class WaitingPacketsTests
{
    private const int Pairs = 500;

    /// <summary>A packet is counted from what it needs beside its byte, in the network of the test itself, where others have packets too.</summary>
    [Fact]
    public async Task A_packet_that_nobody_reads_waits_and_one_that_is_read_does_not()
    {
        var before = Count();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start(Pairs);
        List<(Socket One, Socket Other)> pairs = [];
        for (var i = 0; i < Pairs; i++)
        {
            var one = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await one.ConnectAsync(listener.LocalEndpoint, TestContext.Current.CancellationToken);
            pairs.Add((one, await listener.AcceptSocketAsync(TestContext.Current.CancellationToken)));
            await one.SendAsync(new byte[1], TestContext.Current.CancellationToken);
        }

        await Eventually.TrueAsync(() => Count().Small - before.Small is > Pairs - 100 and < Pairs * 3 / 2);
        foreach (var (_, other) in pairs)
        {
            await other.ReceiveAsync(new byte[1], TestContext.Current.CancellationToken);
        }

        await Eventually.TrueAsync(() => Count().All - before.All < 100);
        foreach (var (one, other) in pairs)
        {
            one.Dispose();
            other.Dispose();
        }
    }

    private static (long All, long Small) Count()
    {
        var count = WaitingPackets.CountHere(own: 0, charged: 0);
        TestRun.Require(count is not null, "The kernel does not tell of its sockets: it has no tcp_diag.");
        return count.Value;
    }
}
