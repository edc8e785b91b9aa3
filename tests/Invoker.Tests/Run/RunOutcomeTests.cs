using Frusta.Contracts.Entities;
using Frusta.Runtimes;
using static Frusta.Invoker.Tests.Run.Records;

namespace Frusta.Invoker.Tests.Run;

/// <summary>How a run ended, as its record says it.</summary>
public sealed class RunOutcomeTests
{
    [Theory]
    [InlineData("""{"a": 1}""", true, "success", """{"a":1}""", true)]
    [InlineData("[1, 2]", true, "success", "[1,2]", true)]
    [InlineData("""{"error": "no", "other": 1}""", true, "application error", """{"error":"no"}""", true)]
    [InlineData("""{"error": {"code": 1}}""", false, "action developer error", """{"error":{"code":1}}""", false)]
    [InlineData("""{"a": 1}""", false, "action developer error", """{"error":"The action did not produce a valid JSON or JSON Array response: {\"a\": 1}"}""", false)]
    [InlineData("null\n", true, "action developer error", """{"error":"The action did not produce a valid JSON or JSON Array response: null\n"}""", false)]
    [InlineData("", true, "action developer error", """{"error":"The action did not produce a valid JSON or JSON Array response."}""", false)]
    [InlineData("oh", true, "action developer error", """{"error":"The action did not produce a valid JSON or JSON Array response: oh"}""", false)]
    public async Task An_answer_is_classified(string body, bool ok, string status, string result, bool keepsSandbox)
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnRun = _ => Task.FromResult(new FakeAnswer(body, ok));
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal(status, Text(record, "status"));
        Assert.Equal(result, record.GetProperty("response").GetProperty("result").GetRawText());
        Assert.Equal(body.Length.ToString(), Text(record, "size"));
        await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal(keepsSandbox ? 1 : 2, invoker.Factory.Started.Count);
    }

    [Fact]
    public async Task A_closed_channel_is_an_unexpected_exit_and_is_answered_at_once()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnRun = sandbox =>
        {
            sandbox.Exit(1);
            return Task.FromResult(new FakeAnswer(null, Kind: RuntimeAnswerKind.Closed));
        };
        invoker.Factory.Logs = """["2026 stdout: hello"]""";
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal("""{"error":"The action did not produce a valid response and exited unexpectedly."}""", record.GetProperty("response").GetProperty("result").GetRawText());
        Assert.False(record.GetProperty("response").TryGetProperty("size", out _));
        Assert.Equal("""["2026 stdout: hello"]""", record.GetProperty("logs").GetRawText());
        Assert.Equal(1, Assert.Single(invoker.Factory.Started).FailedRuns);
    }

    [Fact]
    public async Task Want_of_memory_is_told_without_waiting_for_the_process_to_be_gone()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnRun = sandbox =>
        {
            sandbox.MemoryExhausted = true;
            return Task.FromResult(new FakeAnswer(null, Kind: RuntimeAnswerKind.Closed));
        };
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal("""{"error":"The action exhausted its memory and was aborted."}""", Text(record, "result"));
        Assert.Equal("action developer error", Text(record, "status"));
    }

    [Fact]
    public async Task Want_of_memory_in_an_earlier_run_is_not_why_a_later_one_ends()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnRun = async sandbox =>
        {
            if (sandbox.Runs.Count == 1)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(30), TimeProvider.System);
                sandbox.MemoryExhausted = true;
                return new FakeAnswer("""{"child":137}""");
            }

            sandbox.Exit(3);
            return new FakeAnswer(null, Kind: RuntimeAnswerKind.Closed);
        };
        Assert.Equal("success", Text(await invoker.Send(invoker.Action()).RecordAsync(), "status"));
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal("""{"error":"The action did not produce a valid response and exited unexpectedly."}""", Text(record, "result"));
        Assert.Equal(2, Assert.Single(invoker.Factory.Started).Runs.Count);
    }

    [Fact]
    public async Task A_run_beyond_its_time_is_broken_off()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnRun = _ => new TaskCompletionSource<FakeAnswer>().Task;
        var record = await invoker.Send(invoker.Action(limits: new ActionLimits(TimeoutMs: 100))).RecordAsync();
        Assert.Equal("""{"error":"The action exceeded its time limits of 100 milliseconds."}""", Text(record, "result"));
        Assert.True(Annotation(record, "timeout")!.Value.GetBoolean());
        Assert.True(record.GetProperty("duration").GetInt64() >= 100);
    }

    [Fact]
    public async Task An_init_beyond_its_time_is_broken_off()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnInit = _ => new TaskCompletionSource<FakeAnswer>().Task;
        var record = await invoker.Send(invoker.Action(limits: new ActionLimits(TimeoutMs: 100))).RecordAsync();
        Assert.Equal("""{"error":"The action exceeded its time limits of 100 milliseconds during initialization."}""", Text(record, "result"));
        Assert.NotNull(Annotation(record, "initTime"));
    }

    [Theory]
    [InlineData("""{"error":"Initialization has failed due to: x"}""", """{"error":"Initialization has failed due to: x"}""")]
    [InlineData("oh", """{"error":"The action failed during initialization: oh"}""")]
    [InlineData("", """{"error":"The action failed during initialization."}""")]
    public async Task A_failed_init_is_a_developer_error(string body, string result)
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnInit = _ => Task.FromResult(new FakeAnswer(body, Ok: false));
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal(result, Text(record, "result"));
        Assert.Equal("action developer error", Text(record, "status"));
    }

    [Fact]
    public async Task A_result_beyond_the_limit_is_truncated_and_keeps_the_sandbox()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnRun = _ => Task.FromResult(new FakeAnswer("abc", Kind: RuntimeAnswerKind.TooLarge, Length: 1048577));
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal("""{"error":"The action produced a response that exceeded the allowed length: 1048577 > 1048576 bytes. The truncated response was: abc"}""", Text(record, "result"));
        Assert.Equal("application error", Text(record, "status"));
        Assert.Equal("1048577", Text(record, "size"));
        await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Single(invoker.Factory.Started);
    }

    [Fact]
    public async Task Truncated_logs_end_the_sandbox_but_not_the_success()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.LogsTruncated = true;
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal("success", Text(record, "status"));
        await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal(2, invoker.Factory.Started.Count);
    }

    [Fact]
    public async Task A_kind_that_cannot_run_here_says_so()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var record = await invoker.Send(invoker.Action(kind: "java:8")).RecordAsync();
        Assert.Equal("action developer error", Text(record, "status"));
        Assert.Contains("java:8", Text(record, "result"));
        Assert.Equal("java:8", Annotation(record, "kind")!.Value.GetString());
    }

    [Fact]
    public async Task An_image_that_cannot_be_pulled_says_so_in_openwhisk_s_words()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var action = invoker.Action(kind: "blackbox");
        invoker.Store.Documents["guest/hello"] = new ActionDocument { Name = action.Name, Version = "0.0.1", UpdatedMs = 1, Exec = new ActionExec("blackbox", Image: "me/mine") };
        var record = await invoker.Send(action).RecordAsync();
        Assert.Equal("""{"error":"Failed to pull container image 'me/mine'."}""", Text(record, "result"));
    }

    [Fact]
    public async Task A_limit_lowered_since_is_named()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var user = InvokerFixture.User(limits: new NamespaceLimits { MaxActionMemory = 128 });
        var record = await invoker.Send(invoker.Action(), user: user).RecordAsync();
        Assert.Equal("""{"error":"requirement failed: memory size 256 MB exceeds allowed threshold of 128 MB"}""", Text(record, "result"));
        Assert.Equal("application error", Text(record, "status"));
    }
}
