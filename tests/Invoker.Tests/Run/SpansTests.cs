using Frusta.Contracts.Messages;

namespace Frusta.Invoker.Tests.Run;

public sealed class SpansTests
{
    [Fact]
    public async Task A_run_has_a_span_for_each_stage_under_the_span_of_its_message()
    {
        using var spans = new TestSpans(Spans.SourceName);
        await using var invoker = await new InvokerFixture().StartAsync();
        var action = invoker.Action();

        for (var i = 0; i < 2; i++)
        {
            await invoker.Send(InvokerFixture.Message(action, traceParent: TestSpans.TraceParent), action).RecordAsync();
        }

        Assert.Equal("queue init run record queue run record", spans.Names);
        Assert.All(spans.Ended, static span => Assert.Equal(TestSpans.ParentId, span.ParentSpanId.ToHexString()));
        Assert.All(spans.Ended, static span => Assert.Equal("guest/hello", span.GetTagItem("action")));
    }
}
