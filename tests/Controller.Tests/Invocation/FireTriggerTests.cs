using System.Text;
using System.Text.Json.Nodes;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Invocation;
using Frusta.Controller.Refusals;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Controller.Tests.Invocation;

public sealed class FireTriggerTests : IDisposable
{
    private static readonly Identity Caller = new("guest", "guest", "uuid", "uuid:key", NamespaceLimits.None);

    private readonly FakeBus _bus = new();
    private readonly JsonWorkers _workers = new(new LargeJsonOptions(), "large bodies");
    private readonly Dictionary<string, EntityDocument> _entities = new(StringComparer.Ordinal);
    private readonly Admit _admit = new(new LimitsOptions { InvocationsPerMinute = 3 }, TimeProvider.System);
    private readonly InvokeAction _invoke;
    private readonly FireTrigger _fire;

    public FireTriggerTests()
    {
        ReadEntity read = (id, _) => ValueTask.FromResult(_entities.GetValueOrDefault(id));
        _invoke = new InvokeAction(
            new ResolveAction(read, new InvocationOptions()),
            _bus,
            _workers,
            static _ => false,
            new InvocationOptions(),
            TimeProvider.System,
            NullLogger<InvokeAction>.Instance);
        CheckActivate check = static (_, _, name, _) =>
            ValueTask.FromResult(string.Equals(name.Namespace, "guest", StringComparison.Ordinal) ? (Refusal?)null : new Refusal(403, "no"));
        _fire = new FireTrigger(read, _invoke, _admit, check, _bus, _workers, new LimitsOptions { MaxPayloadBytes = 4096 }, TimeProvider.System);
        Put(new ActionDocument
        {
            Name = new FullyQualifiedName("guest", null, "act"),
            Version = "0.0.1",
            UpdatedMs = 1,
            Revision = "1-x",
            Exec = new ActionExec("nodejs:20"),
            Parameters = [Pair("a", "0"), Pair("z", "0")],
        });
    }

    public void Dispose()
    {
        _invoke.Dispose();
        _workers.Dispose();
    }

    [Fact]
    public async Task Active_rules_start_their_actions_and_every_rule_has_its_line()
    {
        Trigger(("guest/r1", "act", true), ("guest/r2", "act", false), ("guest/r3", "gone", true));

        var answer = await FireAsync("{\"a\": 1}");

        Assert.Equal(InvokeProblem.None, answer.Problem);
        var activation = Assert.Single(_bus.Sent).Activation;
        var message = activation.Message;
        Assert.Equal("""{"a":1,"p":7,"__ow_headers":{"x":"y"},"z":0}""", Encoding.UTF8.GetString(message.Content.Span));
        Assert.False(message.Blocking);
        Assert.Null(message.Cause);
        var record = JsonNode.Parse(_bus.TriggerRecord!.Record.Span)!;
        Assert.Equal(answer.Id.ToString(), (string?)record["activationId"]);
        Assert.Equal("{\"a\":1}", record["response"]!["result"]!.ToJsonString());
        var lines = record["logs"]!.AsArray().Select(static line => (string)line!).Order(StringComparer.Ordinal);
        var expected = $$"""
            {"statusCode":0,"success":true,"activationId":"{{message.Id}}","rule":"guest/r1","action":"guest/act"}
            {"statusCode":1,"success":false,"error":"Rule 'guest/r2' is inactive, action 'guest/act' was not activated.","rule":"guest/r2","action":"guest/act"}
            {"statusCode":1,"success":false,"error":"The requested resource does not exist.","rule":"guest/r3","action":"guest/gone"}
            """;
        Assert.Equal(expected, string.Join('\n', lines));
        Assert.Equal(1, _admit.LoadOf(Caller).InFlight);
        FakeBus.End(activation);
        Assert.Equal(0, _admit.LoadOf(Caller).InFlight);
    }

    [Fact]
    public async Task A_rule_whose_arguments_are_larger_than_a_call_may_be_starts_nothing()
    {
        Trigger(("guest/r", "act", true));

        await FireAsync($$"""{"a": "{{new string('x', 4096)}}"}""");

        Assert.Empty(_bus.Sent);
        var record = JsonNode.Parse(_bus.TriggerRecord!.Record.Span)!;
        var line = $$"""{"statusCode":1,"success":false,"error":"Request larger than allowed: 4135 > 4096 bytes.","rule":"guest/r","action":"guest/act"}""";
        Assert.Equal(line, (string?)Assert.Single(record["logs"]!.AsArray()));
    }

    [Fact]
    public async Task Each_rule_is_throttled_like_a_call_of_its_own()
    {
        Trigger([.. Enumerable.Range(0, 5).Select(static i => ($"guest/r{i}", "act", true))]);

        await FireAsync("");

        Assert.Equal(3, _bus.Sent.Count);
        Assert.Contains("(count: 5, allowed: 3)", Encoding.UTF8.GetString(_bus.TriggerRecord!.Record.Span), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_an_active_rule_nothing_is_stored()
    {
        Trigger(("guest/r1", "act", false));

        Assert.Equal(new FireAnswer(InvokeProblem.None, Id: null), await FireAsync(""));
        Assert.Null(_bus.TriggerRecord);
    }

    [Theory]
    [InlineData("[]", InvokeProblem.NotAnObject)]
    [InlineData("{", InvokeProblem.Malformed)]
    [InlineData("{}", InvokeProblem.NotFound)]
    public async Task The_event_is_read_before_the_trigger_is_looked_up(string body, InvokeProblem problem) =>
        Assert.Equal(problem, (await FireAsync(body)).Problem);

    [Fact]
    public async Task What_the_bus_refuses_leaves_nothing_behind()
    {
        Trigger(("guest/r1", "act", true), ("guest/r2", "act", true));
        _bus.Outcome = SendOutcome.Full;

        Assert.Equal(InvokeProblem.Full, (await FireAsync("")).Problem);
        Assert.Equal(0, _admit.LoadOf(Caller).InFlight);
    }

    private ValueTask<FireAnswer> FireAsync(string body) => _fire.RunAsync(
        new FireRequest(Caller, new FullyQualifiedName("guest", null, "t"), Encoding.UTF8.GetBytes(body), "{\"x\":\"y\"}"u8.ToArray(), "tid", ForceStore: false),
        TestContext.Current.CancellationToken);

    private void Trigger(params (string Rule, string Action, bool Active)[] rules)
    {
        var trigger = new TriggerDocument
        {
            Name = new FullyQualifiedName("guest", null, "t"),
            Version = "0.0.3",
            UpdatedMs = 1,
            Parameters = [Pair("a", "7"), Pair("p", "7")],
            Rules = rules.ToDictionary(
                static rule => rule.Rule,
                static rule => new RuleLink(new FullyQualifiedName("guest", null, rule.Action), rule.Active),
                StringComparer.Ordinal),
        };
        Put(trigger);
        foreach (var (rule, link) in trigger.Rules)
        {
            Put(new RuleDocument
            {
                Name = new FullyQualifiedName("guest", null, rule.Split('/')[1]),
                Version = "0.0.1",
                UpdatedMs = 1,
                Trigger = trigger.Name,
                Action = link.Action,
            });
        }
    }

    private void Put(EntityDocument document) => _entities[document.Name.DocumentId] = document;

    private static KeyValue Pair(string key, string value) => new(key, Encoding.UTF8.GetBytes(value));
}
