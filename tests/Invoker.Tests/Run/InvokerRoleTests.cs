using System.Text.Json;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Sandboxes;
using static Frusta.Invoker.Tests.Run.Records;

namespace Frusta.Invoker.Tests.Run;

/// <summary>Which sandbox a run finds, and what it is told.</summary>
public sealed class InvokerRoleTests
{
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
        var action = invoker.Action();
        var delivery = new FakeDelivery(InvokerFixture.Message(action), action) { MayStart = false };

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
        var action = invoker.Action(apiKey: true);
        var message = InvokerFixture.Message(action, """{"a":1,"secret":"x","b":[1.50]}""", init: "secret");
        var id = message.Id.ToString();
        await invoker.Send(message, action).RecordAsync();

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
        await Eventually.TrueAsync(() => invoker.Role!.Pool.StemCells == 1);
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
}
