using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Sandboxes;
using static Frusta.Invoker.Tests.Run.Records;

namespace Frusta.Invoker.Tests.Run;

/// <summary>What was queued or is on disk when its action changes, the invoker stops, or one stopped before.</summary>
public sealed class HandedOverTests
{
    [Fact]
    public async Task An_action_that_is_gone_is_answered_so_after_a_restart()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var action = invoker.Action();
        invoker.Store.Documents.Clear();
        var record = await invoker.Send(InvokerFixture.Message(action, hint: false)).RecordAsync();
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
        await begun.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        var stopping = invoker.Role!.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(SendOutcome.Full, invoker.Role!.Receive(new FakeDelivery(InvokerFixture.Message(invoker.Action()))));
        answer.SetResult(new FakeAnswer("{}"));
        Assert.Equal("success", Text(await delivery.RecordAsync(), "status"));
        await stopping.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
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
        await begun.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
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
    public async Task An_action_that_is_updated_each_time_before_its_sandbox_is_found_runs_as_it_is_once_it_is_left_alone()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var updates = 0;
        invoker.Store.Documents["guest/hello"] = Document("2-b", "gone");
        invoker.Store.OnCodeRead = () =>
        {
            var update = Interlocked.Increment(ref updates);
            invoker.Store.Documents["guest/hello"] = Document($"{update + 2}-b", update < 8 ? "gone" : "code");
        };

        var record = await invoker.Send(invoker.Action() with { CodeAttachment = "gone" }).RecordAsync();

        Assert.Equal("success", Text(record, "status"));
        Assert.InRange(updates, 8, 10);
    }

    [Fact]
    public async Task An_action_that_is_updated_for_ever_is_given_up_and_not_said_to_be_deleted()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var updates = 1;
        invoker.Store.Documents["guest/hello"] = Document("2-b", "gone");
        invoker.Store.OnCodeRead = () => invoker.Store.Documents["guest/hello"] = Document($"{Interlocked.Increment(ref updates) + 1}-b", "gone");

        var record = await invoker.Send(invoker.Action() with { CodeAttachment = "gone" }).RecordAsync();

        Assert.Equal("Action could not be fetched.", record.GetProperty("response").GetProperty("result").GetProperty("error").GetString());
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

    private static ActionDocument Document(string revision, string attachment = "code") => new()
    {
        Name = new FullyQualifiedName("guest", null, "hello"),
        Version = "0.0.2",
        Revision = revision,
        Exec = new ActionExec("nodejs:20", CodeAttachment: attachment),
        UpdatedMs = 1,
    };
}
