using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Frusta.EndToEnd.Tests;

/// <summary>Bodies that are large, never end, or are worked on for long.</summary>
public sealed class BodiesTests
{
    private const int Mebibyte = 1 << 20;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bodies_take_room_as_they_arrive_and_what_is_over_the_budget_is_refused_while_small_ones_pass()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--Controller:Bodies:MaxBytes=67108864", "--Invoker:StemCells:nodejs:Count=0"]);
        await server.PutActionAsync("kept", "function main() { return {here: true}; }");
        var before = OwnMegabytes(server.ProcessId);

        // Announced are 400 MB; a quarter of the budget, 16 MB, is this namespace's.
        var senders = await BeginPutsAsync(server.Port, 8);
        try
        {
            await SendAsync(senders, 4 * Mebibyte);
            int Refused() => senders.Count(static sender => sender.Poll(0, SelectMode.SelectRead));
            await Eventually.TrueAsync(() => Refused() >= 4);

            // What was only announced has taken no room: some go on, each with its 4 MB of 50.
            Assert.InRange(Refused(), 4, 6);

            foreach (var sender in senders.Where(sender => sender.Poll(0, SelectMode.SelectRead)))
            {
                var buffer = new byte[4096];
                var answer = Encoding.ASCII.GetString(buffer, 0, await sender.ReceiveAsync(buffer, Cancelled));
                Assert.StartsWith("HTTP/1.1 503 ", answer, StringComparison.Ordinal);
                Assert.Contains("\r\nRetry-After: 1\r\n", answer, StringComparison.Ordinal);
            }

            Assert.InRange(OwnMegabytes(server.ProcessId) - before, long.MinValue, 100);
            Assert.Equal(200, (await server.PostAsync("actions/kept?blocking=true", new { text = new string('x', 50_000) }, Cancelled)).Status);
        }
        finally
        {
            senders.ForEach(sender => sender.Dispose());
        }

        // Those that went away have given their room back.
        using var large = new ByteArrayContent(Encoding.ASCII.GetBytes("{\"exec\": {\"kind\": \"nodejs:20\", \"code\": \"" + new string('x', 10 * Mebibyte) + "\"}}"));
        large.Headers.ContentType = new("application/json");
        HttpStatusCode status;
        do
        {
            using var answer = await server.Http.PutAsync("actions/large?overwrite=true", large, Cancelled);
            status = answer.StatusCode;
        }
        while (status == HttpStatusCode.ServiceUnavailable);
        Assert.Equal(HttpStatusCode.OK, status);
    }

    [Fact]
    public async Task A_body_that_the_host_has_no_memory_for_is_told_to_come_again()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--Invoker:StemCells:nodejs:Count=0"]);
        Assert.Equal(HttpStatusCode.OK, (await PutAsync("before")).StatusCode);
        await LimitAddressesAsync(server.ProcessId, (AddressBytes(server.ProcessId) + (45L << 20)).ToString(System.Globalization.CultureInfo.InvariantCulture));

        using var refused = await PutAsync("while");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal("1", refused.Headers.RetryAfter?.ToString());

        await LimitAddressesAsync(server.ProcessId, "unlimited");
        Assert.Equal(HttpStatusCode.OK, (await PutAsync("after")).StatusCode);

        async Task<HttpResponseMessage> PutAsync(string name)
        {
            using var body = new ByteArrayContent(Encoding.ASCII.GetBytes("{\"exec\": {\"kind\": \"nodejs:20\", \"code\": \"" + new string('x', 200_000) + "\"}}"));
            body.Headers.ContentType = new("application/json");
            return await server.Http.PutAsync($"actions/{name}", body, Cancelled);
        }
    }

    [Fact]
    public async Task A_minute_after_many_large_bodies_the_server_is_as_small_as_before()
    {
        Assert.SkipUnless(TestRun.LongTestsToo, "Takes more than a minute: ./test --all runs it.");
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        var before = OwnMegabytes(server.ProcessId);
        var senders = await BeginPutsAsync(server.Port, 60);
        await SendAsync(senders, 49 * Mebibyte);
        senders.ForEach(sender => sender.Dispose());
        var bytes = Encoding.ASCII.GetBytes("{\"exec\": [" + string.Concat(Enumerable.Repeat("1,", 20 * Mebibyte)) + "1]}");
        for (var i = 0; i < 8; i++)
        {
            using var body = new ByteArrayContent(bytes);
            body.Headers.ContentType = new("application/json");
            using var answer = await server.Http.PutAsync("actions/bomb", body, Cancelled);
            Assert.Contains(answer.StatusCode, new[] { HttpStatusCode.BadRequest, HttpStatusCode.ServiceUnavailable });
        }

        await Eventually.TrueAsync(() => OwnMegabytes(server.ProcessId) - before <= 300);
    }

    private static long AddressBytes(int processId) =>
        long.Parse(File.ReadAllText($"/proc/{processId}/statm").Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture) * Environment.SystemPageSize;

    private static async Task LimitAddressesAsync(int processId, string bytes)
    {
        using var prlimit = System.Diagnostics.Process.Start("prlimit", [$"--pid={processId}", $"--as={bytes}:unlimited"]);
        await prlimit.WaitForExitAsync(Cancelled);
        Assert.Equal(0, prlimit.ExitCode);
    }

    private static long OwnMegabytes(int processId) => long.Parse(
        File.ReadLines($"/proc/{processId}/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
        System.Globalization.CultureInfo.InvariantCulture) / 1024;

    /// <summary>Clients that announce 50 MB each.</summary>
    private static async Task<List<Socket>> BeginPutsAsync(int port, int count)
    {
        var senders = new List<Socket>();
        for (var i = 0; i < count; i++)
        {
            var sender = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { SendTimeout = 5000 };
            senders.Add(sender);
            await sender.ConnectAsync("127.0.0.1", port, Cancelled);
            var head = $"""
                PUT /api/v1/namespaces/_/actions/big{i} HTTP/1.1
                Host: 127.0.0.1
                Authorization: Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes(ServerProcess.GuestKey))}
                Content-Type: application/json
                Content-Length: {50 * Mebibyte}


                """.ReplaceLineEndings("\r\n");
            await sender.SendAsync(Encoding.ASCII.GetBytes(head), Cancelled);
        }

        return senders;
    }

    /// <summary>Sends so much on each, a piece in turn, as far as the server takes it.</summary>
    private static async Task SendAsync(List<Socket> senders, int bytes)
    {
        var piece = new byte[Mebibyte];
        piece.AsSpan().Fill((byte)' ');
        var open = senders.ToList();
        for (var sent = 0; sent < bytes; sent += piece.Length)
        {
            foreach (var sender in open.ToList())
            {
                try
                {
                    await sender.SendAsync(piece, Cancelled);
                }
                catch (SocketException)
                {
                    open.Remove(sender); // it was refused
                }
            }
        }
    }
}
