using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Frusta.Sockets.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Frusta.Sockets.Tests;

/// <summary>Kestrel on this transport, with real clients.</summary>
public sealed class KestrelTests : IAsyncLifetime
{
    private readonly EventLoops _loops = new(2);
    private WebApplication _server = null!;

    private Uri Address => new(_server.Urls.First());

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton<IConnectionListenerFactory>(
            services => new SocketTransport(_loops, 1000, TimeProvider.System, services.GetRequiredService<ILogger<SocketTransport>>()));
        _server = builder.Build();
        _server.MapPost("/echo", static async context =>
        {
            context.Response.ContentLength = context.Request.ContentLength;
            await context.Request.Body.CopyToAsync(context.Response.Body, context.RequestAborted);
        });
        _server.MapGet("/gone", static async context =>
        {
            var gone = new TaskCompletionSource();
            context.RequestAborted.Register(gone.SetResult);
            Waiting.TrySetResult();
            await gone.Task;
            Gone.TrySetResult();
        });
        _server.MapGet("/{what}", static context => context.Response.WriteAsync(context.Request.Path.Value!));
        await _server.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _loops.Dispose();
    }

    /// <summary>What the kernel holds to be sent on the connections of a port.</summary>
    private static long UnsentBytes(int port) => File.ReadLines("/proc/net/tcp").Skip(1)
        .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(fields => fields[1].EndsWith(string.Create(CultureInfo.InvariantCulture, $":{port:X4}"), StringComparison.Ordinal))
        .Sum(static fields => fields[3] is "01" ? Convert.ToInt64(fields[4].Split(':')[0], 16) : 0);

    private static TaskCompletionSource Waiting { get; } = new();

    private static TaskCompletionSource Gone { get; } = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Bodies_of_any_size_come_back_as_they_went(bool chunked)
    {
        using var client = new HttpClient { BaseAddress = Address };
        await Parallel.ForEachAsync(Enumerable.Range(0, 200), new ParallelOptions { MaxDegreeOfParallelism = 32, CancellationToken = TestContext.Current.CancellationToken }, async (seed, token) =>
        {
            var random = new Random(seed);
            var body = new byte[seed % 10 == 0 ? random.Next(2_000_000) : random.Next(20_000)];
            random.NextBytes(body);
            using var request = new HttpRequestMessage(HttpMethod.Post, "/echo") { Content = new ByteArrayContent(body) };
            request.Headers.TransferEncodingChunked = chunked;
            using var response = await client.SendAsync(request, token);
            Assert.Equal(body, await response.Content.ReadAsByteArrayAsync(token));
        });
    }

    [Fact]
    public async Task Requests_in_one_piece_are_answered_in_their_order()
    {
        const int Requests = 500;
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Address.Port, TestContext.Current.CancellationToken);
        var asked = string.Concat(Enumerable.Range(0, Requests).Select(static i => $"GET /{i} HTTP/1.1\r\nHost: x\r\n{(i == Requests - 1 ? "Connection: close\r\n" : "")}\r\n"));
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(asked), TestContext.Current.CancellationToken);

        using var reader = new StreamReader(client.GetStream());
        var answers = (await reader.ReadToEndAsync(TestContext.Current.CancellationToken)).Split('\n');

        var expected = Enumerable.Range(0, Requests).Select(static i => $"/{i}").ToArray();
        var answered = answers.Where(static line => line.StartsWith('/')).Select(static line => line.TrimEnd('\r')).ToArray();
        Assert.Equal(expected, answered);
    }

    [Fact]
    public async Task A_request_that_comes_byte_by_byte_is_answered()
    {
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(IPAddress.Loopback, Address.Port, TestContext.Current.CancellationToken);
        foreach (var letter in "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray())
        {
            await client.GetStream().WriteAsync(new[] { letter }, TestContext.Current.CancellationToken);
        }

        using var reader = new StreamReader(client.GetStream());
        Assert.Contains("/slow", await reader.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_goes_while_it_waits_is_noticed()
    {
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(IPAddress.Loopback, Address.Port, TestContext.Current.CancellationToken);
            await client.GetStream().WriteAsync("GET /gone HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
            await Waiting.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }

        await Gone.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Of_an_answer_that_its_client_does_not_read_the_kernel_holds_little()
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Address.Port, TestContext.Current.CancellationToken);
        var body = new byte[16 << 20];
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {body.Length}\r\n\r\n"), TestContext.Current.CancellationToken);
        using var over = new CancellationTokenSource();
        var sending = client.GetStream().WriteAsync(body, over.Token);

        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        var (unsent, looks) = (-1L, 0);
        while (looks < 10)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, patience.Token);
            var now = UnsentBytes(Address.Port);
            looks = now > 0 && now == unsent ? looks + 1 : 0;
            unsent = now;
        }

        Assert.InRange(unsent, 1, 256 * 1024);
        await over.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending.AsTask());
    }

    [Fact]
    public async Task A_port_that_is_taken_is_said_to_be()
    {
        using var loops = new EventLoops(1);
        var transport = new SocketTransport(loops, 1000, TimeProvider.System, _server.Services.GetRequiredService<ILogger<SocketTransport>>());

        await Assert.ThrowsAsync<AddressInUseException>(async () => await transport.BindAsync(new IPEndPoint(IPAddress.Loopback, Address.Port), TestContext.Current.CancellationToken));
    }
}
