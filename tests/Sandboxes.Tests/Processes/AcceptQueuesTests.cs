using System.Net;
using System.Net.Sockets;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests.Processes;

public sealed class AcceptQueuesTests
{
    [Fact]
    public async Task Connections_that_wait_are_counted_also_when_they_were_reset()
    {
        var token = TestContext.Current.CancellationToken;
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start(300);
        for (var i = 0; i < 300; i++)
        {
            using var client = new TcpClient();
            await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, token);
            client.LingerState = new LingerOption(i % 2 == 0, 0);
        }

        // Others on this host listen too.
        Assert.InRange(AcceptQueues.Count(Environment.ProcessId, matters: 0), 300, int.MaxValue);
        Assert.Equal(0, AcceptQueues.Count(Environment.ProcessId, matters: int.MaxValue));
    }

    [Fact]
    public void A_process_that_is_gone_has_none() => Assert.Equal(0, AcceptQueues.Count(int.MaxValue, matters: 0));
}
