using System.Collections.Concurrent;
using System.Text.Json;

namespace Frusta.EndToEnd.Tests;

/// <summary>The promise: an id that a client was given has exactly one record, whatever moment the server is killed at, and nothing runs twice.</summary>
public sealed class KillTests
{
    private const int Rounds = 50;
    private const int BlockingClients = 4;
    private const int AcceptingClients = 4;
    private const int FiringClients = 2;

    /// <summary>
    /// The action writes its activation id into a file of the host, once a run: that is how a second run would show.
    /// Only a sandbox that does not isolate can do so, hence the process driver.
    /// </summary>
    private const string Recorder =
        "const fs = require('fs'); function main(a) { fs.appendFileSync('FILE', process.env.__OW_ACTIVATION_ID + '\\n'); return {n: a.n, id: process.env.__OW_ACTIVATION_ID}; }";

    [Fact]
    public async Task Fifty_kills_at_random_moments_lose_no_answered_activation_and_run_none_twice()
    {
        using var folder = new TemporaryFolder();
        var ran = folder.Sub("ran");
        await File.WriteAllTextAsync(ran, "", TestContext.Current.CancellationToken);
        var seed = Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var given = new Given();

        for (var round = 0; round < Rounds; round++)
        {
            await using var server = await StartAsync(folder);
            if (round == 0)
            {
                await PrepareAsync(server, ran);
            }

            using var killed = new CancellationTokenSource();
            var before = given.Least;
            var clients = Load(server, given, killed.Token);
            if (round % 2 == 1)
            {
                await given.AwaitMoreThanAsync(before); // however busy the host is, half of the kills are in the middle of work
            }

            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(20, 500)), TimeProvider.System, TestContext.Current.CancellationToken);
            await server.KillAsync();
            await killed.CancelAsync();
            await Task.WhenAll(clients);
        }

        await using var last = await StartAsync(folder);
        await CheckAsync(last, given);
        await CheckListedOnceAsync(last, given);
        CheckRanOnce(await File.ReadAllLinesAsync(ran, TestContext.Current.CancellationToken));
    }

    private static Task<ServerProcess> StartAsync(TemporaryFolder folder) =>
        ServerProcess.StartAsync(folder.Sub("data"), ["--Sandboxes:Driver=process"]);

    private static async Task PrepareAsync(ServerProcess server, string ran)
    {
        await server.PutActionAsync("recorder", Recorder.Replace("FILE", ran, StringComparison.Ordinal));
        await server.PutAsync("triggers/bell", new { });
        await server.PutAsync("rules/ring", new { trigger = "/_/bell", action = "/_/recorder" });
    }

    private static Task[] Load(ServerProcess server, Given given, CancellationToken killed)
    {
        var clients = new List<Task>();
        for (var i = 0; i < BlockingClients; i++)
        {
            clients.Add(RepeatAsync(() => BlockingAsync(server, given, killed), killed));
        }

        for (var i = 0; i < AcceptingClients; i++)
        {
            clients.Add(RepeatAsync(() => AcceptAsync(server, given, killed), killed));
        }

        for (var i = 0; i < FiringClients; i++)
        {
            clients.Add(RepeatAsync(() => FireAsync(server, given, killed), killed));
        }

        return [.. clients];
    }

    /// <summary>Calls until the server is gone; an answer that was cut off gave the client no id and promises nothing.</summary>
    private static async Task RepeatAsync(Func<Task> call, CancellationToken killed)
    {
        while (!killed.IsCancellationRequested)
        {
            try
            {
                await call();
            }
            catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or IOException or JsonException)
            {
                return;
            }
        }
    }

    private static async Task BlockingAsync(ServerProcess server, Given given, CancellationToken killed)
    {
        var n = given.Next();
        var (status, body) = await server.PostAsync("actions/recorder?blocking=true", new { n }, killed);
        if (status is 200 or 502 or 500)
        {
            given.Answered[body.GetProperty("activationId").GetString()!] = (status, body.GetProperty("response").GetRawText());
        }
        else if (status == 202)
        {
            given.Accepted[body.GetProperty("activationId").GetString()!] = n;
        }
    }

    private static async Task AcceptAsync(ServerProcess server, Given given, CancellationToken killed)
    {
        var n = given.Next();
        var (status, body) = await server.PostAsync("actions/recorder", new { n }, killed);
        if (status == 202)
        {
            given.Accepted[body.GetProperty("activationId").GetString()!] = n;
        }
    }

    private static async Task FireAsync(ServerProcess server, Given given, CancellationToken killed)
    {
        var (status, body) = await server.PostAsync("triggers/bell", new { n = given.Next() }, killed);
        if (status == 202)
        {
            given.Fired.Add(body.GetProperty("activationId").GetString()!);
        }
    }

    private static async Task CheckAsync(ServerProcess server, Given given)
    {
        foreach (var (id, (_, response)) in given.Answered)
        {
            var record = await server.GetWhenThereAsync($"activations/{id}");
            Assert.Equal(response, record.GetProperty("response").GetRawText());
        }

        foreach (var (id, n) in given.Accepted)
        {
            CheckResultOrInterrupted(await server.GetWhenThereAsync($"activations/{id}"), id, n);
        }

        foreach (var id in given.Fired)
        {
            var record = await server.GetWhenThereAsync($"activations/{id}");
            Assert.Equal("bell", record.GetProperty("name").GetString());
            foreach (var line in record.GetProperty("logs").EnumerateArray())
            {
                using var rule = JsonDocument.Parse(line.GetString()!);
                Assert.True(rule.RootElement.GetProperty("success").GetBoolean(), line.GetString());
                var started = rule.RootElement.GetProperty("activationId").GetString()!;
                CheckResultOrInterrupted(await server.GetWhenThereAsync($"activations/{started}"), started, null);
            }
        }
    }

    private static void CheckResultOrInterrupted(JsonElement record, string id, int? n)
    {
        var response = record.GetProperty("response");
        var status = response.GetProperty("status").GetString();
        if (string.Equals(status, "success", StringComparison.Ordinal))
        {
            Assert.Equal(id, response.GetProperty("result").GetProperty("id").GetString());
            if (n is { } expected)
            {
                Assert.Equal(expected, response.GetProperty("result").GetProperty("n").GetInt32());
            }
        }
        else
        {
            Assert.Equal("whisk internal error", status);
        }
    }

    /// <summary>Pages through the whole list: every id that was given is there once, and no id twice.</summary>
    private static async Task CheckListedOnceAsync(ServerProcess server, Given given)
    {
        var listed = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var skip = 0; ; skip += 200)
        {
            var (status, page) = await server.GetAsync($"activations?limit=200&skip={skip}");
            Assert.Equal(200, status);
            foreach (var entry in page.EnumerateArray())
            {
                var id = entry.GetProperty("activationId").GetString()!;
                listed[id] = listed.GetValueOrDefault(id) + 1;
            }

            if (page.GetArrayLength() < 200)
            {
                break;
            }
        }

        Assert.DoesNotContain(listed, pair => pair.Value != 1);
        Assert.DoesNotContain(given.Answered.Keys, id => !listed.ContainsKey(id));
        Assert.DoesNotContain(given.Accepted.Keys, id => !listed.ContainsKey(id));
        Assert.DoesNotContain(given.Fired, id => !listed.ContainsKey(id));
    }

    private static void CheckRanOnce(string[] ran)
    {
        var twice = ran.GroupBy(id => id, StringComparer.Ordinal).Where(group => group.Count() > 1).Select(group => group.Key).ToList();
        Assert.Empty(twice);
    }

    /// <summary>What clients were told before the kills.</summary>
    private sealed class Given
    {
        private int _next;

        public ConcurrentDictionary<string, (int Status, string Response)> Answered { get; } = new(StringComparer.Ordinal);

        public ConcurrentDictionary<string, int> Accepted { get; } = new(StringComparer.Ordinal);

        public ConcurrentBag<string> Fired { get; } = [];

        /// <summary>How many ids clients have of the kind of which they have fewest.</summary>
        public int Least => Math.Min(Math.Min(Answered.Count, Accepted.Count), Fired.Count);

        public int Next() => Interlocked.Increment(ref _next);

        public Task AwaitMoreThanAsync(int least) => Eventually.TrueAsync(() => Least > least);
    }
}
