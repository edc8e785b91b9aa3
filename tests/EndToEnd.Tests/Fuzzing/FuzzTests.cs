using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Frusta.EndToEnd.Tests.Fuzzing;

/// <summary>Whatever is sent, the server answers it, never with 500, does all of it or nothing, and goes on.</summary>
/// <remarks>The seed of a failure is in its message: set <c>FRUSTATEST_SEED</c> to it, and the same requests are made again.</remarks>
public sealed class FuzzTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int AtATime = 8;
    private const int MostProblems = 10;

    // One that does not end where it says leaves both sides waiting; the client goes away after so long.
    private static readonly TimeSpan PatienceWithBroken = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();
    private readonly ConcurrentQueue<string> _found = new();
    private ServerProcess _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private static int FirstSeed => int.TryParse(Environment.GetEnvironmentVariable("FRUSTATEST_SEED"), CultureInfo.InvariantCulture, out var seed)
        ? seed
        : Random.Shared.Next(1_000_000) * 1000;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerProcess.StartAsync(_folder.Sub("data"));
        await _server.PutActionAsync("echo", "function main(a) { return a; }");
        await _server.PutActionAsync("echo-python", "def main(a):\n    return a", "python:3.11");
        await _server.PutAsync("actions/echo-init", new
        {
            exec = new { kind = "nodejs:20", code = "function main(a) { return {p: process.env.p, more: process.env.more}; }" },
            parameters = new[] { new { key = "p", value = "x", init = true }, new { key = "more", value = "y", init = true } },
        });
        await _server.PutAsync("packages/pkg", new { publish = true });
        await _server.PutAsync("packages/bound", new { binding = new { @namespace = "_", name = "pkg" } });
        await _server.PutActionAsync("pkg/echo", "function main(a) { return a; }");
        await _server.PutActionAsync("untouched", "function main(a) { return a; }");
        await _server.PutAsync("triggers/trigger", new { });
        await _server.PutAsync("rules/rule", new { trigger = "/_/trigger", action = "/_/echo" });
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task No_request_gets_a_500_or_no_answer_or_leaves_half_of_its_work()
    {
        var first = FirstSeed;
        var (seeds, requests) = TestRun.LongTestsToo ? (200, 400) : (24, 125);
        output.WriteLine($"seeds {first} to {first + seeds - 1}, {requests} requests each");
        await Parallel.ForEachAsync(
            Enumerable.Range(first, seeds),
            new ParallelOptions { MaxDegreeOfParallelism = AtATime, CancellationToken = Cancelled },
            async (seed, _) =>
            {
                var fuzzer = new RequestFuzzer(seed);
                for (var i = 0; i < requests && _found.Count < MostProblems; i++)
                {
                    await TryAsync(fuzzer.Next(), $"seed {seed}, request {i}");
                }
            });
        Assert.True(_found.IsEmpty, string.Join("\n\n", _found));

        var (status, body) = await _server.PostAsync("actions/untouched?blocking=true&result=true", new { still = "here" }, Cancelled);
        Assert.Equal(200, status);
        Assert.Equal("here", body.GetProperty("still").GetString());
        foreach (var list in (string[])["actions", "triggers", "rules", "packages", "activations"])
        {
            Assert.Equal(200, (await _server.GetAsync(list + "?limit=200")).Status);
        }

        Assert.DoesNotContain("failed unexpectedly", _server.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("nhandled exception", _server.Output, StringComparison.Ordinal);
    }

    private async Task TryAsync(FuzzedRequest request, string which)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        patience.CancelAfter(request.IsWhole ? Patience : PatienceWithBroken);
        RawAnswer answer;
        try
        {
            answer = await RawClient.SendAsync(_server.Port, request.Bytes, request.Method, patience.Token);
        }
        catch (OperationCanceledException) when (!request.IsWhole && !Cancelled.IsCancellationRequested)
        {
            return;
        }
        catch (Exception exception) when (!Cancelled.IsCancellationRequested)
        {
            _found.Enqueue($"{which}: {exception.Message}\n{Show(request.Bytes)}");
            return;
        }

        var problem = Problem(request, answer) ?? await HalfDoneAsync(request, answer);
        if (problem is not null)
        {
            _found.Enqueue($"{which}: {problem}\n{Show(request.Bytes)}\nanswered {answer.Status} {Show(answer.Body)}");
        }
    }

    private static string? Problem(FuzzedRequest request, RawAnswer answer)
    {
        if (answer.Status == 500)
        {
            return "an answer of 500";
        }

        if (answer.Status == 0)
        {
            return request.IsWhole ? "no answer" : null;
        }

        if (!answer.Headers.TryGetValue("x-request-id", out var id))
        {
            return answer.Status is 400 or 405 or 408 or 411 or 413 or 414 or 431 or 501 or 505 && answer.Body.Length == 0 ? null : "no transaction id"; // Kestrel's own refusals have none
        }

        if (id.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            return "a transaction id that is not printable";
        }

        if (request.Method is "POST" && answer.Status == 202 && !answer.Headers.ContainsKey("x-openwhisk-activation-id"))
        {
            return "an accepted call without its id";
        }

        return answer.Headers.GetValueOrDefault("content-type") is "application/json" && request.Method is not "HEAD" && !IsJson(answer.Body) ? "a body that is no JSON" : null;
    }

    /// <summary>An entity is there when its PUT was answered with 200, and otherwise it is not.</summary>
    private async Task<string?> HalfDoneAsync(FuzzedRequest request, RawAnswer answer)
    {
        if (request.Created is not { } path || answer.Status is 0 or 406 || !IsNamed(path))
        {
            return null; // 406 is about the answer: it takes the place of a success and of a refusal
        }

        using var found = await _server.Http.GetAsync(path, Cancelled);
        var expected = answer.Status == 200 ? 200 : 404;
        return (int)found.StatusCode == expected ? null : $"a PUT after which {path} answers {(int)found.StatusCode}";
    }

    private static bool IsNamed(string path) => path.Split('/')[0] is "actions" or "triggers" or "rules" or "packages";

    private static bool IsJson(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 1100 });
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string Show(byte[] bytes)
    {
        var text = new StringBuilder();
        foreach (var one in bytes.Take(1200))
        {
            text.Append(one is (byte)'\n' or (>= 0x20 and < 0x7F) ? ((char)one).ToString() : $"\\x{one:x2}");
        }

        return text.ToString();
    }
}
