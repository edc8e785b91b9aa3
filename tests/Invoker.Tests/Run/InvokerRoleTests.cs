using System.Text.Json;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Runtimes;
using Frusta.Sandboxes;

namespace Frusta.Invoker.Tests.Run;

public sealed class InvokerRoleTests
{
    private static string Text(JsonElement record, string name) => record.GetProperty("response").GetProperty(name).ToString();

    private static JsonElement? Annotation(JsonElement record, string key)
    {
        foreach (var annotation in record.GetProperty("annotations").EnumerateArray())
        {
            if (annotation.GetProperty("key").ValueEquals(key))
            {
                return annotation.GetProperty("value");
            }
        }

        return null;
    }

    [Fact]
    public async Task The_first_call_initialises_and_the_second_finds_the_sandbox_warm()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var action = invoker.Action();
        var cold = invoker.Send(action, """{"a":1}""");
        var first = await cold.RecordAsync();
        var second = await invoker.Send(action, """{"a":2}""").RecordAsync();

        var sandbox = Assert.Single(invoker.Factory.Started);
        Assert.Equal("success", Text(first, "status"));
        Assert.Equal("""{"ok":true}""", Text(first, "result"));
        Assert.NotNull(Annotation(first, "initTime"));
        Assert.Null(Annotation(second, "initTime"));
        Assert.Equal(1, invoker.Store.CodeReads);
        Assert.Equal(2, sandbox.Runs.Count);
        Assert.Equal(1, cold.Starts);
        Assert.Equal(1, cold.Ends);
    }

    [Fact]
    public async Task What_cannot_be_promised_to_run_once_is_not_run_and_has_a_record()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var delivery = new FakeDelivery(InvokerFixture.Message(invoker.Action(), "{}")) { MayStart = false };

        Assert.Equal(SendOutcome.Sent, invoker.Role!.Receive(delivery));

        var record = await delivery.RecordAsync();
        Assert.Equal("whisk internal error", Text(record, "status"));
        Assert.Empty(Assert.Single(invoker.Factory.Started).Runs);
        Assert.Equal(1, delivery.Ends);
    }

    [Fact]
    public async Task A_run_says_who_calls_what_with_which_arguments()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var message = InvokerFixture.Message(invoker.Action(apiKey: true), """{"a":1,"secret":"x","b":[1.50]}""", init: "secret");
        var id = message.Id.ToString();
        await invoker.Send(message).RecordAsync();

        var sandbox = Assert.Single(invoker.Factory.Started);
        var run = JsonDocument.Parse(Assert.Single(sandbox.Runs)).RootElement;
        Assert.Equal("""{"a":1,"b":[1.50]}""", run.GetProperty("value").GetRawText());
        Assert.Equal("guest", run.GetProperty("namespace").GetString());
        Assert.Equal("/guest/hello", run.GetProperty("action_name").GetString());
        Assert.Equal("0.0.1", run.GetProperty("action_version").GetString());
        Assert.Equal(id, run.GetProperty("activation_id").GetString());
        Assert.Equal("tid", run.GetProperty("transaction_id").GetString());
        Assert.Equal("uuid-of-guest:secret", run.GetProperty("api_key").GetString());
        Assert.True(long.Parse(run.GetProperty("deadline").GetString()!, null) > 0);

        var init = JsonDocument.Parse(Assert.Single(sandbox.Inits)).RootElement.GetProperty("value");
        Assert.Equal(InvokerFixture.Code, init.GetProperty("code").GetString());
        Assert.Equal("main", init.GetProperty("main").GetString());
        Assert.Equal("x", init.GetProperty("env").GetProperty("secret").GetString());
        Assert.Equal("/guest/hello", init.GetProperty("env").GetProperty("__OW_ACTION_NAME").GetString());
    }

    [Fact]
    public async Task Another_revision_gets_another_sandbox()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        await invoker.Send(invoker.Action(revision: "1-a")).RecordAsync();
        await invoker.Send(invoker.Action(revision: "2-b")).RecordAsync();
        Assert.Equal(2, invoker.Factory.Started.Count);
    }

    [Fact]
    public async Task Two_namespaces_never_share_a_sandbox()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var action = invoker.Action();
        await invoker.Send(action, user: InvokerFixture.User("alice")).RecordAsync();
        await invoker.Send(action, user: InvokerFixture.User("bob")).RecordAsync();
        Assert.Equal(2, invoker.Factory.Started.Count);
    }

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
    public async Task An_action_that_is_gone_is_answered_so_after_a_restart()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var record = await invoker.Send(InvokerFixture.Message(invoker.Action(), hint: false)).RecordAsync();
        Assert.Equal("""{"error":"Action could not be found or may have been deleted."}""", Text(record, "result"));
        Assert.Equal("application error", Text(record, "status"));
        Assert.Equal("unknown", Annotation(record, "kind")!.Value.GetString());
    }

    [Fact]
    public async Task A_message_without_its_action_is_resolved_from_the_store()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var action = invoker.Action();
        invoker.Store.Documents["guest/hello"] = new ActionDocument
        {
            Name = action.Name,
            Version = "0.0.2",
            Revision = "2-b",
            UpdatedMs = 1,
            Exec = new ActionExec("nodejs:20", CodeAttachment: "code"),
        };
        var record = await invoker.Send(InvokerFixture.Message(action, hint: false)).RecordAsync();
        Assert.Equal("success", Text(record, "status"));
        Assert.Equal("0.0.2", record.GetProperty("version").GetString());
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

    [Fact]
    public async Task Sandboxes_that_never_come_up_are_answered()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnStart = () => new SandboxStartException("no");
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal("""{"error":"Failed to provision resources to run the action."}""", Text(record, "result"));
        Assert.Equal("whisk internal error", Text(record, "status"));
        Assert.Equal("unhealthy", invoker.Role!.Health);
    }

    [Fact]
    public async Task A_sandbox_whose_network_cannot_be_taken_away_is_ended_and_its_start_has_failed()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnDeny = () => new IOException("no");
        var record = await invoker.Send(invoker.Action(network: false)).RecordAsync();
        Assert.Equal("""{"error":"Failed to provision resources to run the action."}""", Text(record, "result"));
        Assert.NotEmpty(invoker.Factory.Started);
        Assert.Equal(invoker.Factory.Started.Count, invoker.Factory.Stopped.Count);
        Assert.All(invoker.Factory.Started, static sandbox => Assert.Empty(sandbox.Runs));

        invoker.Factory.OnDeny = () => null;
        Assert.Equal("success", Text(await invoker.Send(invoker.Action(network: false)).RecordAsync(), "status"));
    }

    [Fact]
    public async Task A_warm_sandbox_that_has_died_is_never_used()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        await invoker.Send(invoker.Action()).RecordAsync();
        Assert.True(invoker.Factory.Started.TryPeek(out var sandbox));
        sandbox.Exit(1);
        var record = await invoker.Send(invoker.Action()).RecordAsync();
        Assert.Equal("success", Text(record, "status"));
        Assert.Equal(2, invoker.Factory.Started.Count);
    }

    [Fact]
    public async Task A_stem_cell_gets_the_limit_of_its_action()
    {
        var fixture = new InvokerFixture();
        fixture.Options.StemCells["nodejs"] = new StemCellOptions { Count = 1, MemoryMb = 256 };
        await using var invoker = await fixture.StartAsync();
        Assert.True(SpinWait.SpinUntil(() => invoker.Role!.Pool.StemCells == 1, TimeSpan.FromSeconds(10)));
        await invoker.Send(invoker.Action(limits: new ActionLimits(MemoryMb: 512), network: false)).RecordAsync();
        Assert.True(invoker.Factory.Started.TryPeek(out var cell));
        Assert.Equal(512, cell.MemoryMb);
        Assert.True(cell.NetworkDenied);
        Assert.Single(cell.Runs);
    }

    [Fact]
    public async Task A_hundred_slow_calls_at_once_start_many_sandboxes()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.OnRun = async _ =>
        {
            await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System);
            return new FakeAnswer("{}");
        };
        var deliveries = new List<FakeDelivery>();
        for (var i = 0; i < 100; i++)
        {
            deliveries.Add(invoker.Send(invoker.Action()));
        }

        foreach (var delivery in deliveries)
        {
            await delivery.RecordAsync();
            Assert.Equal(1, delivery.Ends);
        }

        Assert.InRange(invoker.Factory.Started.Count, 20, 100);
    }

    [Fact]
    public async Task A_thousand_fast_calls_at_once_start_few_sandboxes()
    {
        var fixture = new InvokerFixture();
        fixture.Options.Pool.StartsAtOnce = 2;
        await using var invoker = await fixture.StartAsync();
        invoker.Factory.StartTakes = TimeSpan.FromMilliseconds(50); // as a real one: on a loaded machine this process may stand still for longer than a run
        invoker.Factory.OnInit = async _ =>
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
            return new FakeAnswer("{}");
        };
        var deliveries = new List<FakeDelivery>();
        for (var i = 0; i < 1000; i++)
        {
            deliveries.Add(invoker.Send(invoker.Action()));
        }

        foreach (var delivery in deliveries)
        {
            await delivery.RecordAsync();
        }

        Assert.InRange(invoker.Factory.Started.Count, 1, 8);
    }

    [Fact]
    public async Task What_runs_when_the_server_stops_is_let_end_and_nothing_new_is_taken()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var answer = new TaskCompletionSource<FakeAnswer>();
        var begun = new TaskCompletionSource();
        invoker.Factory.OnRun = _ =>
        {
            begun.TrySetResult();
            return answer.Task;
        };
        var delivery = invoker.Send(invoker.Action());
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        var stopping = invoker.Role!.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(SendOutcome.Full, invoker.Role!.Receive(new FakeDelivery(InvokerFixture.Message(invoker.Action()))));
        answer.SetResult(new FakeAnswer("{}"));
        Assert.Equal("success", Text(await delivery.RecordAsync(), "status"));
        await stopping.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Single(invoker.Factory.Stopped);
        Assert.Equal("down", invoker.Role!.Health);
    }

    [Fact]
    public async Task What_is_on_disk_and_has_not_started_is_left_to_the_next_start_and_a_client_that_waits_is_answered()
    {
        var fixture = new InvokerFixture();
        fixture.Options.DrainMs = 100;
        fixture.Options.Pool.Memory = 256;
        await using var invoker = await fixture.StartAsync();
        var begun = new TaskCompletionSource();
        invoker.Factory.OnRun = _ =>
        {
            begun.TrySetResult();
            return new TaskCompletionSource<FakeAnswer>().Task;
        };
        var action = invoker.Action();
        var running = invoker.Send(action);
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        var accepted = Enumerable.Range(0, 5).Select(_ => new FakeDelivery(InvokerFixture.Message(action)) { IsAccepted = true }).ToList();
        Assert.All(accepted, delivery => Assert.Equal(SendOutcome.Sent, invoker.Role!.Receive(delivery)));
        var waiting = invoker.Send(action);

        await invoker.Role!.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal("whisk internal error", Text(await running.RecordAsync(), "status"));
        Assert.Equal("whisk internal error", Text(await waiting.RecordAsync(), "status"));
        Assert.All(accepted, static delivery => Assert.Equal((0, 0), (delivery.Starts, delivery.Ends)));
    }

    [Fact]
    public async Task What_was_queued_for_code_that_is_gone_runs_the_action_as_it_is_now()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Factory.StartTakes = TimeSpan.FromMilliseconds(50);
        invoker.Store.Documents["guest/hello"] = Document("2-b");
        var deliveries = Enumerable.Range(0, 5).Select(_ => invoker.Send(invoker.Action() with { CodeAttachment = "gone" })).ToList();
        foreach (var delivery in deliveries)
        {
            var record = await delivery.RecordAsync();
            Assert.Equal("success", Text(record, "status"));
            Assert.Equal("0.0.2", record.GetProperty("version").GetString());
        }
    }

    [Fact]
    public async Task An_action_whose_code_is_gone_and_stays_gone_is_said_to_be_deleted()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        invoker.Store.Documents["guest/hello"] = Document("2-b", "gone");

        var record = await invoker.Send(invoker.Action() with { CodeAttachment = "gone" }).RecordAsync();

        Assert.Equal("Action could not be found or may have been deleted.", record.GetProperty("response").GetProperty("result").GetProperty("error").GetString());
    }

    [Fact]
    public async Task What_comes_without_its_action_waits_for_room_in_the_queue()
    {
        var fixture = new InvokerFixture();
        fixture.Options.Queue.PerAction = 2;
        fixture.Options.Pool.Memory = 256;
        await using var invoker = await fixture.StartAsync();
        invoker.Store.Documents["guest/hello"] = Document("1-a");
        var action = invoker.Action();

        var deliveries = Enumerable.Range(0, 20).Select(_ => invoker.Send(InvokerFixture.Message(action, hint: false))).ToList();

        foreach (var delivery in deliveries)
        {
            Assert.Equal("success", Text(await delivery.RecordAsync(), "status"));
        }
    }

    private static ActionDocument Document(string revision, string attachment = "code") => new()
    {
        Name = new FullyQualifiedName("guest", null, "hello"),
        Version = "0.0.2",
        Revision = revision,
        Exec = new ActionExec("nodejs:20", CodeAttachment: attachment),
        UpdatedMs = 1,
    };

    [Fact]
    public async Task A_queue_that_is_full_refuses_at_once()
    {
        var fixture = new InvokerFixture();
        fixture.Options.Queue.PerAction = 2;
        fixture.Options.Pool.StartTries = 100;
        await using var invoker = await fixture.StartAsync();
        invoker.Factory.OnRun = _ => new TaskCompletionSource<FakeAnswer>().Task;
        invoker.Factory.OnStart = () => new SandboxStartException("no");
        invoker.Send(invoker.Action());
        invoker.Send(invoker.Action());
        Assert.Equal(SendOutcome.NamespaceFull, invoker.Role!.Receive(new FakeDelivery(InvokerFixture.Message(invoker.Action()))));
    }
}
