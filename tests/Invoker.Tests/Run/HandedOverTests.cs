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
        var record = await invoker.Send(InvokerFixture.Message(action)).RecordAsync();
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
        var record = await invoker.Send(InvokerFixture.Message(action)).RecordAsync();
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
        Assert.Equal(SendOutcome.Full, invoker.Role!.Receive(InvokerFixture.Delivery(invoker.Action())));
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
        var accepted = Enumerable.Range(0, 5).Select(_ => new FakeDelivery(InvokerFixture.Message(action), action) { IsAccepted = true }).ToList();
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

        var deliveries = Enumerable.Range(0, 20).Select(_ => invoker.Send(InvokerFixture.Message(action))).ToList();

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
        Assert.Equal(SendOutcome.NamespaceFull, invoker.Role!.Receive(InvokerFixture.Delivery(invoker.Action())));
    }

    [Fact]
    public async Task A_place_that_is_kept_counts_until_it_is_used_or_given_back()
    {
        var fixture = new InvokerFixture();
        fixture.Options.Queue.PerAction = 2;
        await using var invoker = await fixture.StartAsync();
        var action = invoker.Action();
        var first = InvokerFixture.Delivery(action);
        var second = InvokerFixture.Delivery(action);

        Assert.Equal(SendOutcome.Sent, invoker.Role!.Reserve(first, out var firstPlace));
        Assert.Equal(SendOutcome.Sent, invoker.Role.Reserve(second, out var secondPlace));
        Assert.Equal(SendOutcome.NamespaceFull, invoker.Role.Reserve(InvokerFixture.Delivery(action), out _));
        Assert.Equal(SendOutcome.NamespaceFull, invoker.Role.Receive(InvokerFixture.Delivery(action)));
        Assert.Equal(2, invoker.Role.Pool.Queued);

        firstPlace!.GiveBack();
        secondPlace!.Enter();
        Assert.Equal("success", Text(await second.RecordAsync(), "status"));
        Assert.Equal(0, first.Starts);
        Assert.Equal(0, invoker.Role.Pool.Queued);
    }

    [Fact]
    public async Task An_idle_sandbox_is_a_place_though_the_queues_are_full_and_the_activation_is_not_lost_when_another_takes_it()
    {
        var fixture = new InvokerFixture();
        fixture.Options.Queue.PerNamespace = 1;
        fixture.Options.Pool.Memory = 256;
        await using var invoker = await fixture.StartAsync();
        var (warm, other) = (invoker.Action(), invoker.Action("other"));
        await invoker.Send(warm).RecordAsync();
        var ending = new TaskCompletionSource<FakeAnswer>();
        Assert.Equal(SendOutcome.Sent, invoker.Role!.Reserve(InvokerFixture.Delivery(other), out var others));

        var delivery = InvokerFixture.Delivery(warm);
        Assert.Equal(SendOutcome.Sent, invoker.Role.Reserve(delivery, out var place));
        Assert.Equal(SendOutcome.NamespaceFull, invoker.Role.Reserve(InvokerFixture.Delivery(warm), out _));
        invoker.Factory.OnRun = _ => ending.Task;
        var quicker = invoker.Send(warm);
        place!.Enter();
        others!.GiveBack();
        ending.SetResult(new FakeAnswer("""{"ok":true}"""));

        Assert.Equal("success", Text(await quicker.RecordAsync(), "status"));
        Assert.Equal("success", Text(await delivery.RecordAsync(), "status"));
        Assert.Equal(0, invoker.Role.Pool.Queued);
    }

    [Fact]
    public async Task An_activation_that_may_not_run_here_has_no_record_before_it_is_on_disk()
    {
        await using var invoker = await new InvokerFixture().StartAsync();
        var unknown = InvokerFixture.Delivery(invoker.Action("strange", kind: "cobol:60"));

        Assert.Equal(SendOutcome.Sent, invoker.Role!.Reserve(unknown, out var place));
        Assert.Equal(0, unknown.Ends);
        place!.Enter();

        Assert.Equal("action developer error", Text(await unknown.RecordAsync(), "status"));
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
