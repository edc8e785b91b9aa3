using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Controller.Api;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Invocation;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Frusta.Controller.Tests.Invocation;

public sealed class InvokeActionTests : IDisposable
{
    private static readonly Identity Caller = new("guest", "guest", "uuid", "uuid:key", NamespaceLimits.None);

    private readonly FakeTimeProvider _clock = new(DateTimeOffset.UnixEpoch.AddYears(50));
    private readonly FakeBus _bus = new();
    private readonly JsonWorkers _workers = new(new LargeJsonOptions(), "large bodies");
    private readonly Dictionary<string, EntityDocument> _entities = new(StringComparer.Ordinal);
    private readonly Admit _admit;
    private readonly InvokeAction _invoke;

    public InvokeActionTests()
    {
        _admit = new Admit(new LimitsOptions { InvocationsPerMinute = 1000, ConcurrentInvocations = 1000 }, _clock);
        _invoke = new InvokeAction(
            new ResolveAction((id, _) => ValueTask.FromResult(_entities.GetValueOrDefault(id)), new InvocationOptions()),
            _bus,
            _workers,
            static kind => string.Equals(kind, "nodejs:6", StringComparison.Ordinal),
            new InvocationOptions(),
            _clock,
            NullLogger<InvokeAction>.Instance);
        Put(Action("guest/hello"));
    }

    private int InFlight => _admit.LoadOf(Caller).InFlight;

    public void Dispose()
    {
        _invoke.Dispose();
        _workers.Dispose();
    }

    [Theory]
    [InlineData("{\"ok\":true}", ActivationStatus.Success, 200)]
    [InlineData("{\"error\":1}", ActivationStatus.ApplicationError, 502)]
    [InlineData("{\"error\":1}", ActivationStatus.DeveloperError, 502)]
    [InlineData("{\"error\":1}", ActivationStatus.WhiskError, 500)]
    public async Task A_blocking_call_is_answered_with_the_record_without_its_logs(string result, ActivationStatus status, int statusCode)
    {
        _bus.OnSent = activation => FakeBus.End(activation, result, status);

        using var answer = await InvokeAsync("guest/hello", blocking: true);

        Assert.Equal(InvokeProblem.None, answer.Problem);
        Assert.Equal(statusCode, FinishedAnswer.StatusCode(answer.Finished!.Status));
        var record = JsonNode.Parse(Body(answer, resultOnly: false))!;
        Assert.Equal(answer.Id.ToString(), (string?)record["activationId"]);
        Assert.Empty(record["logs"]!.AsArray());
        Assert.Equal(result, record["response"]!["result"]!.ToJsonString());
        Assert.Equal(result, Body(answer, resultOnly: true));
        Assert.Equal(0, InFlight);
    }

    [Fact]
    public async Task A_result_that_is_an_array_is_answered_bare()
    {
        _bus.OnSent = activation => FakeBus.End(activation, "[1,2]");

        using var answer = await InvokeAsync("guest/hello", blocking: true);

        Assert.Equal("[1,2]", Body(answer, resultOnly: false));
    }

    [Fact]
    public async Task An_end_that_comes_later_is_waited_for()
    {
        var answering = InvokeAsync("guest/hello", blocking: true).AsTask();
        Assert.False(answering.IsCompleted);
        Assert.Equal(1, InFlight);
        Assert.False(_bus.Sent[0].AcceptFirst);

        FakeBus.End(_bus.Sent[0].Activation);

        using var answer = await answering;
        Assert.Equal(InvokeProblem.None, answer.Problem);
        Assert.Equal(0, InFlight);
    }

    [Fact]
    public async Task An_end_without_a_record_is_answered_as_full_and_the_call_no_longer_counts()
    {
        var answering = InvokeAsync("guest/hello", blocking: true).AsTask();

        _bus.Sent[0].Activation.Reply!.Refuse();

        using var answer = await answering;
        Assert.Equal(InvokeProblem.Full, answer.Problem);
        Assert.Empty(_bus.AcceptedAfterwards);
        Assert.Equal(0, InFlight);
    }

    [Fact]
    public async Task When_the_wait_ends_first_the_activation_is_made_durable_and_goes_on()
    {
        var answering = InvokeAsync("guest/hello", blocking: true, waitMs: 1000).AsTask();
        _clock.Advance(TimeSpan.FromMilliseconds(980));
        Assert.False(answering.IsCompleted);

        _clock.Advance(TimeSpan.FromMilliseconds(100));
        using var answer = await answering;

        AssertAccepted(answer);
        Assert.Equal(_bus.Sent[0].Activation.Message.Id, answer.Id);
        Assert.Equal(answer.Id, Assert.Single(_bus.AcceptedAfterwards));
        Assert.Equal(1, InFlight);
        FakeBus.End(_bus.Sent[0].Activation);
        Assert.Equal(0, InFlight);
    }

    [Fact]
    public async Task A_call_that_is_not_waited_for_is_accepted_first_and_counts_until_its_end()
    {
        using var answer = await InvokeAsync("guest/hello", blocking: false);

        AssertAccepted(answer);
        Assert.True(_bus.Sent[0].AcceptFirst);
        Assert.Equal(1, InFlight);
        FakeBus.End(_bus.Sent[0].Activation);
        Assert.Equal(0, InFlight);
    }

    [Theory]
    [InlineData(SendOutcome.Full, InvokeProblem.Full, 503)]
    [InlineData(SendOutcome.NamespaceFull, InvokeProblem.NamespaceFull, 429)]
    [InlineData(SendOutcome.TooLarge, InvokeProblem.TooLarge, 413)]
    public async Task What_the_bus_refuses_is_given_back_whole(SendOutcome sent, InvokeProblem problem, int statusCode)
    {
        _bus.Outcome = sent;
        foreach (var blocking in new[] { true, false })
        {
            using var answer = await InvokeAsync("guest/hello", blocking);

            Assert.Equal(problem, answer.Problem);
            Assert.Equal(statusCode, InvokeRefusal.Of(answer.Problem, null, default).Status);
            Assert.Equal(0, InFlight);
        }
    }

    [Fact]
    public async Task Package_binding_and_action_lie_under_the_arguments()
    {
        Put(Package("prov/pkg", Pairs(("a", "1"), ("b", "1"), ("c", "1"))));
        Put(Package("guest/bound", Pairs(("b", "2"), ("c", "2")), new FullyQualifiedName("prov", null, "pkg")));
        Put(Action("prov/pkg/act", Pairs(("c", "3"))));

        using var answer = await InvokeAsync("guest/bound/act", blocking: false, body: "{\"d\":4}");

        var message = _bus.Sent[0].Activation.Message;
        Assert.Equal("""{"d":4,"a":1,"b":2,"c":3}""", Encoding.UTF8.GetString(message.Content.Span));
        Assert.Equal("prov/pkg/act", message.Action.DocumentId);
        Assert.Equal("guest/bound", message.Binding);
    }

    [Fact]
    public async Task A_new_revision_of_any_document_counts_at_the_next_call()
    {
        Put(Package("guest/pkg", Pairs(("a", "1"))));
        Put(Action("guest/pkg/act"));
        await InvokeAsync("guest/pkg/act", blocking: false);
        Put(Package("guest/pkg", Pairs(("a", "2"))) with { Revision = "2-x" });
        await InvokeAsync("guest/pkg/act", blocking: false);
        Put(Action("guest/pkg/act", Pairs(("a", "3"))) with { Revision = "2-x" });
        await InvokeAsync("guest/pkg/act", blocking: false);

        Assert.Equal("{\"a\":1} {\"a\":2} {\"a\":3}", string.Join(' ', _bus.Sent.Select(sent => Encoding.UTF8.GetString(sent.Activation.Message.Content.Span))));
        Assert.Equal("2-x", _bus.Sent[2].Activation.Message.ActionRevision);
    }

    [Theory]
    [InlineData("guest/hello", "{", InvokeProblem.Malformed)]
    [InlineData("guest/hello", "[]", InvokeProblem.NotAnObject)]
    [InlineData("guest/missing", "{", InvokeProblem.Malformed)]
    [InlineData("guest/missing", "{}", InvokeProblem.NotFound)]
    [InlineData("guest/nopkg/hello", "{}", InvokeProblem.NotFound)]
    [InlineData("guest/hello/hello", "{}", InvokeProblem.OtherCollection)]
    [InlineData("guest/final", "{\"a\":2}", InvokeProblem.NamesFinal)]
    [InlineData("guest/old", "{}", InvokeProblem.KindRetired)]
    [InlineData("guest/seq", "{}", InvokeProblem.NotRunnable)]
    [InlineData("guest/conductor", "{}", InvokeProblem.NotRunnable)]
    public async Task What_may_not_run_is_refused(string name, string body, InvokeProblem problem)
    {
        Put(Action("guest/final", Pairs(("a", "1"))) with { Annotations = Pairs(("final", "true")) });
        Put(Action("guest/old") with { Exec = new ActionExec("nodejs:6") });
        Put(Action("guest/seq") with { Exec = new ActionExec(ActionExec.Sequence) });
        Put(Action("guest/conductor") with { Annotations = Pairs(("conductor", "\"yes\"")) });

        using var answer = await InvokeAsync(name, blocking: true, body);

        Assert.Equal(problem, answer.Problem);
        Assert.Empty(_bus.Sent);
        Assert.Equal(0, InFlight);
    }

    [Fact]
    public async Task End_and_timeout_at_once_answer_each_call_once_and_lose_no_count()
    {
        for (var round = 0; round < 300; round++)
        {
            var answering = InvokeAsync("guest/hello", blocking: true, waitMs: 20).AsTask();
            var activation = _bus.Sent[^1].Activation;
            var message = activation.Message;
            var ending = Task.Run(() => FakeBus.End(activation), TestContext.Current.CancellationToken);
            _clock.Advance(TimeSpan.FromMilliseconds(60));
            await ending;
            using var answer = await answering;

            Assert.Equal(message.Id, answer.Id);
            if (answer.Finished is not null)
            {
                Assert.Contains(message.Id.ToString(), Body(answer, resultOnly: false), StringComparison.Ordinal);
            }
            else
            {
                AssertAccepted(answer);
            }

            Assert.Equal(0, InFlight);
        }
    }

    [Fact]
    public async Task A_call_has_a_span_for_each_stage_and_its_message_carries_the_one_that_made_it()
    {
        using var spans = new TestSpans(Spans.SourceName);
        _bus.OnSent = static activation => FakeBus.End(activation);

        using (var request = Spans.Request(TestSpans.TraceParent))
        {
            using var answer = await InvokeAsync("guest/hello", blocking: true);
        }

        Assert.Equal("compose send wait request", spans.Names);
        Assert.All(spans.Ended.Take(3), span => Assert.Equal(spans.Ended[3].SpanId, span.ParentSpanId));
        Assert.Equal(spans.Ended[0].Id, _bus.Sent[0].Activation.Message.TraceParent);
    }

    [Fact]
    public async Task Many_waits_of_all_lengths_end_in_time()
    {
        var waits = new[] { 1, 20, 500, 9_000, 10_300, 60_000 };
        var answering = waits.Select(wait => (wait, Task: InvokeAsync("guest/hello", blocking: true, waitMs: wait).AsTask())).ToList();
        for (var passedMs = 0; passedMs <= 60_100; passedMs += 100)
        {
            foreach (var (wait, task) in answering)
            {
                if (passedMs < wait)
                {
                    Assert.False(task.IsCompleted, $"A wait of {wait} ms ended within {passedMs} ms.");
                }
                else if (passedMs > wait + 100)
                {
                    AssertAccepted(await task);
                }
            }

            _clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        foreach (var (_, task) in answering)
        {
            AssertAccepted(await task);
        }
    }

    private static void AssertAccepted(InvokeAnswer answer)
    {
        Assert.Equal(InvokeProblem.None, answer.Problem);
        Assert.Null(answer.Finished);
    }

    private void Put(EntityDocument document) => _entities[document.Name.DocumentId] = document;

    private async ValueTask<InvokeAnswer> InvokeAsync(string name, bool blocking, string body = "", int waitMs = 60_000)
    {
        Assert.True(_admit.Invocation(Caller, out var place).IsAdmitted);
        using (place)
        {
            return await _invoke.RunAsync(
                new InvokeRequest(Caller, place!, Name(name), Encoding.UTF8.GetBytes(body), BodyOwner: null, blocking, waitMs, "tid", ForceStore: false),
                TestContext.Current.CancellationToken);
        }
    }

    private static string Body(InvokeAnswer answer, bool resultOnly)
    {
        var body = new ArrayBufferWriter<byte>();
        FinishedAnswer.Write(answer.Finished!, resultOnly, body);
        Assert.Equal(body.WrittenCount, FinishedAnswer.Length(answer.Finished!, resultOnly));
        return Encoding.UTF8.GetString(body.WrittenSpan);
    }

    private static FullyQualifiedName Name(string id) => id.Split('/') switch
    {
        [var root, var name] => new FullyQualifiedName(root, null, name),
        var parts => new FullyQualifiedName(parts[0], parts[1], parts[2]),
    };

    private static KeyValue[] Pairs(params (string Key, string Value)[] pairs) =>
        [.. pairs.Select(pair => new KeyValue(pair.Key, Encoding.UTF8.GetBytes(pair.Value)))];

    private static ActionDocument Action(string id, KeyValue[]? parameters = null) => new()
    {
        Name = Name(id),
        Version = "0.0.1",
        Revision = "1-x",
        UpdatedMs = 1,
        Exec = new ActionExec("nodejs:20"),
        Parameters = parameters ?? [],
    };

    private static PackageDocument Package(string id, KeyValue[] parameters, FullyQualifiedName? binding = null) => new()
    {
        Name = Name(id),
        Version = "0.0.1",
        Revision = "1-x",
        UpdatedMs = 1,
        Parameters = parameters,
        Binding = binding,
    };
}
