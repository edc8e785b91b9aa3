using System.Net;
using Frusta.Server.Configuration;
using Frusta.Server.Doors;
using Frusta.Sockets;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Server.Tests.Doors;

public sealed class ApiListenerTests : IDisposable
{
    private readonly EventLoops _loops = new(1);

    public void Dispose() => _loops.Dispose();

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task A_free_port_is_taken_and_answers(string address)
    {
        await using var listener = Listener(address);
        await StartAsync(listener);
        using var client = new HttpClient();

        using var answer = await client.GetAsync(new UriBuilder("http", address, listener.Port).Uri, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        await listener.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task An_address_of_another_host_is_refused_in_words()
    {
        await using var listener = Listener("192.0.2.1");

        var refused = await Assert.ThrowsAsync<StartRefusedException>(() => StartAsync(listener));

        Assert.StartsWith("Cannot listen on 192.0.2.1:", refused.Message, StringComparison.Ordinal);
    }

    private static Task StartAsync(ApiListener listener) => listener.StartAsync(
        static context =>
        {
            context.Response.StatusCode = 204;
            return Task.CompletedTask;
        },
        TestContext.Current.CancellationToken);

    private ApiListener Listener(string address) => new(new IPEndPoint(IPAddress.Parse(address), 0), new ServerOptions(), 100, _loops, NullLoggerFactory.Instance);
}
