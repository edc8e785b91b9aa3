using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Frusta.EndToEnd.Tests;

/// <summary>Large answers: what they take of the server's memory, and what clients that do not read them take from others.</summary>
public sealed class AnswerTests : IDisposable
{
    private const int MiB = 1024 * 1024;

    // Two answers of 8 MB are all that one namespace may hold under this: a quarter of 64 MiB.
    private const string SmallBudget = "--Controller:Answers:MaxBytes=67108864";

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_list_of_whole_records_takes_the_memory_of_a_few_of_them()
    {
        var (records, most) = TestRun.LongTestsToo ? (100, 200) : (12, 60);
        await using var server = await ServerProcess.StartAsync(_folder.Sub("data"));
        await server.PutActionAsync(
            "loud",
            "function main(a) { const line = 'x'.repeat(1000); for (let i = 0; i < 9000; i++) console.log(line); return {text: 'y'.repeat(900000)}; }",
            limits: new { logs = 10, memory = 512 });
        for (var i = 0; i < records; i++)
        {
            Assert.Equal(200, (await server.PostAsync("actions/loud?blocking=true", null, Cancelled)).Status);
        }

        var before = Settle(server);
        var summaries = await ReadAllAsync(server, $"activations?limit={records}");
        var whole = await ReadAllAsync(server, $"activations?docs=true&limit={records}");

        Assert.InRange(summaries, records * 100, MiB);
        Assert.InRange(whole, records * 9L * MiB, records * 11L * MiB);
        Assert.InRange(MostMiB(server), 0, before + most);
    }

    [Fact]
    public async Task A_list_takes_no_memory_for_what_it_does_not_show()
    {
        var (triggers, most) = TestRun.LongTestsToo ? (200, 150) : (30, 60);
        await using var server = await ServerProcess.StartAsync(_folder.Sub("data"));
        for (var i = 0; i < triggers; i++)
        {
            await server.PutAsync($"triggers/large{i}", new { parameters = new[] { new { key = "numbers", value = Enumerable.Repeat(1, 500_000) } }, annotations = new[] { new { key = "short", value = i } } });
        }

        var before = Settle(server);
        var list = await server.GetAsync($"triggers?limit={triggers}");

        Assert.Equal(200, list.Status);
        Assert.Equal(Enumerable.Range(0, triggers).Select(i => $"large{triggers - 1 - i}").ToArray(), Names(list.Body));
        Assert.False(list.Body[0].TryGetProperty("parameters", out _));
        Assert.Equal(triggers - 1, list.Body[0].GetProperty("annotations")[0].GetProperty("value").GetInt32());
        Assert.InRange(MostMiB(server), 0, before + most);
    }

    [Fact]
    public async Task Code_of_any_letters_comes_back_as_it_was_sent_and_a_record_has_its_length()
    {
        await using var server = await ServerProcess.StartAsync(_folder.Sub("data"));
        var letters = string.Concat(Enumerable.Range(1, 0x2FF).Select(static letter => (char)letter)) + "\U0001F600\uFFFD\u2028";
        var code = string.Concat(Enumerable.Repeat("// " + letters.Replace('\n', ' ').Replace('\r', ' ') + "\n", 1500)) + "function main() { return {text: 'z'.repeat(500000)}; }";
        await server.PutActionAsync("letters", code);

        var (status, action) = await server.GetAsync("actions/letters");
        Assert.Equal(200, status);
        Assert.Equal(code, action.GetProperty("exec").GetProperty("code").GetString());
        Assert.Equal("nodejs:20", action.GetProperty("exec").GetProperty("kind").GetString());
        Assert.Equal(256, action.GetProperty("limits").GetProperty("memory").GetInt32());

        // A blocking answer, its record and the parts of that: one length each, said before.
        using var ended = await server.Http.PostAsync("actions/letters?blocking=true", null, Cancelled);
        Assert.InRange(ended.Content.Headers.ContentLength ?? 0, 500_000, 501_000);
        using var record = JsonDocument.Parse(await ended.Content.ReadAsStringAsync(Cancelled));
        var id = record.RootElement.GetProperty("activationId").GetString();
        foreach (var (path, least) in new[] { ($"activations/{id}", 500_300), ($"activations/{id}/result", 500_000), ($"activations/{id}/logs", 2) })
        {
            using var answer = await server.Http.GetAsync(path, Cancelled);
            Assert.InRange(answer.Content.Headers.ContentLength ?? 0, least, 502_000);
            using var parsed = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancelled));
        }

        Assert.Equal(code, (await DeleteAsync(server, "actions/letters")).GetProperty("exec").GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_package_shows_all_its_actions_and_feeds_however_many_pages_they_fill()
    {
        await using var server = await ServerProcess.StartAsync(_folder.Sub("data"));
        await server.PutAsync("packages/full", new { parameters = new[] { new { key = "a", value = 1 } } });
        for (var i = 0; i < 12; i++)
        {
            var note = new { key = i % 3 == 0 ? "feed" : "note", value = new string('n', 100_000) };
            await server.PutAsync($"actions/full/a{i}", new { exec = new { kind = "nodejs:20", code = "function main() { return {}; }" }, annotations = new[] { note } });
        }

        var (_, package) = await server.GetAsync("packages/full");

        Assert.Equal(["a11", "a10", "a8", "a7", "a5", "a4", "a2", "a1"], Names(package.GetProperty("actions")));
        Assert.Equal(["a9", "a6", "a3", "a0"], Names(package.GetProperty("feeds")));
        Assert.Equal(12, (await server.GetAsync("actions")).Body.GetArrayLength());
    }

    [Fact]
    public async Task Unread_answers_hold_no_more_than_their_budget_and_what_ended_without_room_is_under_its_id()
    {
        await using var server = await ServerProcess.StartAsync(_folder.Sub("data"), [SmallBudget]);
        await server.PutActionAsync("large", $"/*{new string('x', 8_300_000)}*/ function main() {{ return {{text: 'y'.repeat(900000)}}; }}");
        var unread = new List<Socket>();
        try
        {
            for (var i = 0; i < 40; i++)
            {
                unread.Add(await AskAsync(server, "actions/large"));
            }

            // Whoever asks here may have taken the place of one of these, so that one more is to ask.
            using var refused = await WaitAsync(server, "actions/large", 503, async () => unread.Add(await AskAsync(server, "actions/large")));
            Assert.NotNull(refused.Headers.RetryAfter);
            Assert.Equal(200, (await server.GetAsync("limits")).Status);
            Assert.Equal(200, (await server.GetAsync("actions")).Status);
            Assert.InRange(MostMiB(server), 0, 400);

            using var ended = await server.Http.PostAsync("actions/large?blocking=true", null, Cancelled);
            Assert.Equal(202, (int)ended.StatusCode);
            unread.ForEach(static socket => socket.Dispose());
            using var freed = await WaitAsync(server, "actions/large", 200);
            var id = ended.Headers.GetValues("x-openwhisk-activation-id").Single();
            Assert.Equal(900_000, (await server.GetWhenThereAsync($"activations/{id}")).GetProperty("response").GetProperty("result").GetProperty("text").GetString()!.Length);
        }
        finally
        {
            unread.ForEach(static socket => socket.Dispose());
        }
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_cut_off_and_holds_up_nobody_who_lists()
    {
        await using var server = await ServerProcess.StartAsync(
            _folder.Sub("data"), [SmallBudget, "--Controller:AnswerStallMs=5000", "--Store:Entities:Readers=1", "--Store:Activations:Readers=1"]);
        await server.PutActionAsync("large", $"/*{new string('x', 8_300_000)}*/ function main() {{ return {{text: 'y'.repeat(900000)}}; }}");
        for (var i = 0; i < 12; i++)
        {
            Assert.Equal(200, (await server.PostAsync("actions/large?blocking=true", null, Cancelled)).Status);
        }

        using var first = await AskAsync(server, "actions/large");
        Assert.Equal(12, (await server.GetAsync("activations")).Body.GetArrayLength());
        Assert.Equal(200, (await server.GetAsync("actions/large?code=false")).Status);
        Assert.Equal(1, (await server.GetAsync("actions")).Body.GetArrayLength());

        // Together they may hold what leaves no room for a third until they are cut off.
        using var second = await AskAsync(server, "actions/large");
        using var third = await WaitAsync(server, "actions/large", 200);
        using var fourth = await WaitAsync(server, "actions/large", 200); // the third began after the second, so that the second was cut off for this one
        foreach (var client in (Socket[])[first, second])
        {
            // What the kernel had taken comes first, and is not all.
            Assert.InRange(ReceiveToEnd(client), 1, 7 * MiB);
        }
    }

    [Fact]
    public async Task A_client_that_reads_slowly_but_all_the_time_is_not_cut_off()
    {
        await using var server = await ServerProcess.StartAsync(_folder.Sub("data"), ["--Controller:AnswerStallMs=2000"]);
        await server.PutActionAsync("large", $"/*{new string('x', 16_000_000)}*/ function main() {{ return {{}}; }}");
        using var client = await AskAsync(server, "actions/large");
        var (buffer, length) = (new byte[4096], 0L);
        var began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(8))
        {
            length += await client.ReceiveAsync(buffer, Cancelled);
            await Task.Delay(TimeSpan.FromMilliseconds(40), TimeProvider.System, Cancelled); // 200 KB in the time that it has for 64
        }

        Assert.InRange(length, 256 * 1024, 2 * MiB);
        Assert.InRange(length + ReceiveAnswer(client), 16_000_000, 16_010_000);
    }

    [Fact]
    public async Task A_minute_after_a_load_the_memory_has_gone_back_to_the_host()
    {
        Assert.SkipUnless(TestRun.LongTestsToo, "It waits for a minute: ./test --all");
        await using var server = await ServerProcess.StartAsync(_folder.Sub("data"));
        var before = ResidentMiB(server);
        for (var i = 0; i < 6; i++)
        {
            await server.PutActionAsync($"large{i}", new string('x', 40_000_000));
        }

        await Parallel.ForEachAsync(Enumerable.Range(0, 48), Cancelled, async (i, token) =>
        {
            using var answer = await server.Http.GetAsync($"actions/large{i % 6}", HttpCompletionOption.ResponseHeadersRead, token);
            await answer.Content.CopyToAsync(Stream.Null, token);
        });
        await Task.Delay(TimeSpan.FromSeconds(60), TimeProvider.System, Cancelled);

        Assert.InRange(ResidentMiB(server), 0, before + 300);
    }

    private static string[] Names(JsonElement list) => [.. list.EnumerateArray().Select(static one => one.GetProperty("name").GetString()!)];

    /// <summary>Asks and does not read.</summary>
    private static async Task<Socket> AskAsync(ServerProcess server, string path)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await socket.ConnectAsync("127.0.0.1", server.Port, Cancelled);
        var key = Convert.ToBase64String(Encoding.UTF8.GetBytes(ServerProcess.GuestKey));
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /api/v1/namespaces/_/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {key}\r\n\r\n"), Cancelled);
        return socket;
    }

    /// <summary>Asks until the answer has this status.</summary>
    private static async Task<HttpResponseMessage> WaitAsync(ServerProcess server, string path, int status, Func<Task>? beforeNextAsync = null)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromMinutes(1), $"{path} was never answered with {status}.");
            var answer = await server.Http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead, Cancelled);
            if ((int)answer.StatusCode == status)
            {
                return answer;
            }

            answer.Dispose();
            await (beforeNextAsync?.Invoke() ?? Task.CompletedTask);
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Cancelled);
        }
    }

    private static async Task<JsonElement> DeleteAsync(ServerProcess server, string path)
    {
        using var answer = await server.Http.DeleteAsync(path, Cancelled);
        Assert.Equal(200, (int)answer.StatusCode);
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancelled));
        return document.RootElement.Clone();
    }

    /// <summary>Reads an answer to its end without keeping it.</summary>
    private static async Task<long> ReadAllAsync(ServerProcess server, string path)
    {
        using var answer = await server.Http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead, Cancelled);
        Assert.Equal(200, (int)answer.StatusCode);
        await using var body = await answer.Content.ReadAsStreamAsync(Cancelled);
        var (buffer, length) = (new byte[64 * 1024], 0L);
        for (int count; (count = await body.ReadAsync(buffer, Cancelled)) > 0;)
        {
            length += count;
        }

        return length;
    }

    /// <summary>Reads what is left of an answer of several megabytes, until nothing comes for a second.</summary>
    private static long ReceiveAnswer(Socket client)
    {
        client.ReceiveTimeout = 1000;
        var (buffer, length) = (new byte[64 * 1024], 0L);
        try
        {
            for (int count; (count = client.Receive(buffer)) > 0;)
            {
                length += count;
            }
        }
        catch (SocketException over) when (over.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock or SocketError.ConnectionReset)
        {
            // The connection stays open for another request, or it was cut off.
        }

        return length;
    }

    private static long ReceiveToEnd(Socket client)
    {
        var (buffer, length) = (new byte[64 * 1024], 0L);
        try
        {
            for (int count; (count = client.Receive(buffer)) > 0;)
            {
                length += count;
            }
        }
        catch (SocketException reset) when (reset.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Cut off.
        }

        return length;
    }

    /// <summary>Counts the most that the server has from here on; what it has now.</summary>
    private static long Settle(ServerProcess server)
    {
        File.WriteAllText($"/proc/{server.ProcessId}/clear_refs", "5");
        return ResidentMiB(server);
    }

    private static long ResidentMiB(ServerProcess server) => StatusMiB(server, "VmRSS:");

    private static long MostMiB(ServerProcess server) => StatusMiB(server, "VmHWM:");

    private static long StatusMiB(ServerProcess server, string name)
    {
        var line = File.ReadLines($"/proc/{server.ProcessId}/status").First(line => line.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture) / 1024;
    }
}
