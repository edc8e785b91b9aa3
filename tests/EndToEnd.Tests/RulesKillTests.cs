using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Frusta.EndToEnd.Tests;

/// <summary>
/// Many clients change few rules and triggers at random while the server is killed: afterwards every rule is as its trigger says, a trigger starts
/// what its active rules say and nothing else, an answer of 200 is to be seen, and any other changed nothing.
/// </summary>
public sealed class RulesKillTests
{
    private const int Clients = 24;
    private const int Rules = 6;
    private const int Triggers = 3;

    /// <summary>Reads the documents behind the API's back: id, and the links of a trigger or the trigger of a rule.</summary>
    private const string ReadDocuments = """
        import json, sqlite3, sys
        store = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
        print(json.dumps({key: json.loads(body) for key, body in store.execute("SELECT id, body FROM documents WHERE kind IN (2, 3)")}))
        """;

    [Fact]
    public async Task Rules_and_triggers_agree_whatever_many_clients_do_at_once_and_whenever_the_server_is_killed()
    {
        using var folder = new TemporaryFolder();
        var seed = Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var history = new History();
        for (var round = 0; round < (TestRun.LongTestsToo ? 40 : 8); round++)
        {
            await using (var server = await StartAsync(folder))
            {
                if (round == 0)
                {
                    await PrepareAsync(server);
                }

                using var killed = new CancellationTokenSource();
                var clients = Enumerable.Range(0, Clients).Select(i => ChangeAsync(server, history, new Random(seed + (round * Clients) + i), killed.Token)).ToList();
                await history.AwaitAnswersAsync(history.Answers + random.Next(50, 400));
                await server.KillAsync();
                await killed.CancelAsync();
                await Task.WhenAll(clients);
            }

            await using var next = await StartAsync(folder);
            await CheckAsync(next, history, Path.Combine(folder.Sub("data"), "entities", "entities.db"));
        }
    }

    private static Task<ServerProcess> StartAsync(TemporaryFolder folder) => ServerProcess.StartAsync(folder.Sub("data"), ["--Sandboxes:Driver=process"]);

    private static async Task PrepareAsync(ServerProcess server)
    {
        foreach (var action in (string[])["a0", "a1"])
        {
            await server.PutActionAsync(action, "function main() { return {}; }");
        }

        for (var trigger = 0; trigger < Triggers; trigger++)
        {
            await server.PutAsync($"triggers/t{trigger}", new { });
        }
    }

    private static async Task ChangeAsync(ServerProcess server, History history, Random random, CancellationToken killed)
    {
        while (!killed.IsCancellationRequested)
        {
            var rule = $"r{random.Next(Rules)}";
            var trigger = $"t{random.Next(Triggers)}";
            var annotated = new JsonObject
            {
                ["trigger"] = $"/_/{trigger}",
                ["action"] = $"/_/a{random.Next(2)}",
            };
            await (random.Next(20) switch
            {
                < 6 => history.AskAsync(server, HttpMethod.Put, rule, $"rules/{rule}?overwrite=true", annotated, killed),
                < 9 => history.AskAsync(server, HttpMethod.Put, rule, $"rules/{rule}", annotated, killed),
                < 13 => history.AskAsync(server, HttpMethod.Delete, rule, $"rules/{rule}", null, killed),
                < 17 => history.AskAsync(server, HttpMethod.Post, null, $"rules/{rule}", new JsonObject { ["status"] = random.Next(2) == 0 ? "active" : "inactive" }, killed),
                < 19 => history.AskAsync(server, HttpMethod.Put, null, $"triggers/{trigger}?overwrite=true", [], killed),
                _ => history.AskAsync(server, HttpMethod.Delete, null, $"triggers/{trigger}", null, killed),
            });
        }
    }

    private static async Task CheckAsync(ServerProcess server, History history, string database)
    {
        var rules = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        for (var i = 0; i < Rules; i++)
        {
            var (status, rule) = await server.GetAsync($"rules/r{i}");
            Assert.Contains(status, (int[])[200, 404]);
            history.CheckAndBeginAnew($"r{i}", status == 200 ? rule.GetProperty("annotations")[0].GetProperty("value").GetInt32() : null);
            if (status == 200)
            {
                rules[$"guest/r{i}"] = rule;
            }
        }

        using var documents = JsonDocument.Parse(await ReadDocumentsAsync(database));
        for (var i = 0; i < Triggers; i++)
        {
            if (documents.RootElement.TryGetProperty($"guest/t{i}", out var trigger) && trigger.TryGetProperty("rules", out var links))
            {
                Assert.All(links.EnumerateObject(), link => Assert.Equal($"t{i}", rules[link.Name].GetProperty("trigger").GetProperty("name").GetString()));
            }

            await server.PutAsync($"triggers/t{i}?overwrite=true", new { }); // some are deleted
            var active = rules
                .Where(rule => string.Equals(rule.Value.GetProperty("trigger").GetProperty("name").GetString(), $"t{i}", StringComparison.Ordinal))
                .Where(rule => string.Equals(rule.Value.GetProperty("status").GetString(), "active", StringComparison.Ordinal))
                .Select(rule => $"{rule.Key} guest/{rule.Value.GetProperty("action").GetProperty("name").GetString()}");
            Assert.Equal(active.Order(StringComparer.Ordinal), (await FireAsync(server, $"t{i}")).Order(StringComparer.Ordinal), StringComparer.Ordinal);
        }
    }

    private static async Task<IReadOnlyList<string>> FireAsync(ServerProcess server, string trigger)
    {
        var (status, fired) = await server.PostAsync($"triggers/{trigger}");
        if (status == 204)
        {
            return [];
        }

        Assert.Equal(202, status);
        var record = await server.GetWhenThereAsync($"activations/{fired.GetProperty("activationId").GetString()}");
        return [.. record.GetProperty("logs").EnumerateArray()
            .Select(line => JsonNode.Parse(line.GetString()!)!)
            .Where(line => (bool)line["success"]!)
            .Select(line => $"{line["rule"]} {line["action"]}")];
    }

    private static async Task<string> ReadDocumentsAsync(string database)
    {
        using var python = Process.Start(new ProcessStartInfo("python3", ["-c", ReadDocuments, database]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        var documents = await python.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await python.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, python.ExitCode);
        return documents;
    }

    /// <summary>What clients asked for and were answered, since the last look.</summary>
    private sealed class History
    {
        private readonly Lock _gate = new();
        private readonly List<Asked> _asked = [];
        private int _answers;
        private int _next;

        public int Answers => Volatile.Read(ref _answers);

        /// <summary>Asks once. A rule that is put carries the number of who put it.</summary>
        public async Task AskAsync(ServerProcess server, HttpMethod method, string? rule, string path, JsonObject? body, CancellationToken killed)
        {
            var asked = new Asked(Interlocked.Increment(ref _next), rule, method == HttpMethod.Delete, Stopwatch.GetTimestamp());
            if (rule is not null && body is not null)
            {
                body["annotations"] = new JsonArray(new JsonObject { ["key"] = "number", ["value"] = asked.Number });
            }

            lock (_gate)
            {
                _asked.Add(asked);
            }

            try
            {
                using var request = new HttpRequestMessage(method, path);
                request.Content = body is null ? null : new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
                using var answer = await server.Http.SendAsync(request, killed);
                var text = await answer.Content.ReadAsStringAsync(killed);
                asked.Ended = Stopwatch.GetTimestamp();
                asked.Status = (int)answer.StatusCode;
                Interlocked.Increment(ref _answers);
                Assert.Contains(asked.Status.Value, (int[])[200, 400, 404, 409]);
                Assert.True(asked.Status != 409 || (method == HttpMethod.Put && !path.Contains('?', StringComparison.Ordinal)), $"{method} {path}: {text}");
            }
            catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or IOException)
            {
                // It was cut off: nobody knows whether it happened.
            }
        }

        /// <summary>What a rule is now was asked for, not refused, and by nobody before another that was told that it happened.</summary>
        /// <param name="rule">Its name.</param>
        /// <param name="found">The number of who put it; null when there is none.</param>
        public void CheckAndBeginAnew(string rule, int? found)
        {
            var of = _asked.Where(asked => string.Equals(asked.Rule, rule, StringComparison.Ordinal)).ToList();
            var could = found is { } number
                ? of.Where(asked => asked.Number == number)
                : of.Where(asked => asked.IsDeletion).Append(new Asked(0, rule, IsDeletion: true, 0) { Ended = 0, Status = 200 });
            var last = could.Where(asked => asked.Status is null or 200)
                .Where(asked => !of.Any(other => other.Status == 200 && asked.Ended is { } ended && other.Began > ended && other.Number != asked.Number));
            Assert.True(last.Any(), $"The rule {rule} is of {found?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "nobody"}, of:\n{string.Join('\n', of)}");
            _asked.RemoveAll(asked => string.Equals(asked.Rule, rule, StringComparison.Ordinal));
            if (found is { } kept)
            {
                _asked.Add(new Asked(kept, rule, IsDeletion: false, 0) { Ended = 0, Status = 200 });
            }
        }

        public Task AwaitAnswersAsync(int wanted) => Eventually.TrueAsync(() => Answers >= wanted);

        private sealed record Asked(int Number, string? Rule, bool IsDeletion, long Began)
        {
            public long? Ended { get; set; }

            public int? Status { get; set; }
        }
    }
}
