using System.Text;
using System.Text.Json.Nodes;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Tests.Messages;

public sealed class ActivationRecordWriterTests
{
    private static readonly FullyQualifiedName Action = new("acme", "orders", "price");

    [Fact]
    public void A_record_has_every_member_and_its_logs_last()
    {
        var id = ActivationId.New(TimeProvider.System);
        var finished = ActivationRecordWriter.Finish(
            new ActivationRecord
            {
                Id = id,
                Namespace = "zoe",
                Name = "price",
                Version = "0.0.7",
                Subject = "zoé \"q\"",
                Cause = id,
                StartMs = 100,
                EndMs = 145,
                Status = ActivationStatus.ApplicationError,
                Result = "{\"error\":1}"u8,
                ResponseSize = 12,
                Logs = "[\"line\"]"u8,
                Action = Action,
                Kind = "nodejs:20",
                Limits = new ActionLimits(),
                TimedOut = false,
                WaitMs = 3,
                InitMs = 4,
                Binding = "zoe/shop",
            },
            ActivationRecordWriter.FilterName(Action, "zoe/shop"));

        var expected = $$$"""
            {"activationId":"{{{id}}}","annotations":[{"key":"path","value":"acme/orders/price"},{"key":"kind","value":"nodejs:20"},
            {"key":"limits","value":{"concurrency":1,"logs":10,"memory":256,"timeout":60000}},{"key":"timeout","value":false},
            {"key":"waitTime","value":3},{"key":"initTime","value":4},{"key":"causedBy","value":"sequence"},{"key":"binding","value":"zoe/shop"}],
            "cause":"{{{id}}}","duration":45,"end":145,"name":"price","namespace":"zoe","publish":false,
            "response":{"result":{"error":1},"size":12,"status":"application error","success":false},
            "start":100,"subject":"zoé \"q\"","version":"0.0.7","logs":["line"]}
            """;
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(finished.Record.Span)));
        Assert.Equal("[\"line\"]}", Encoding.UTF8.GetString(finished.Record.Span[finished.LogsOffset..]));
        Assert.Equal("{\"error\":1}", Encoding.UTF8.GetString(finished.Result));
        Assert.Equal("shop/price", finished.FilterName);
    }

    [Fact]
    public void A_trigger_has_no_end_no_duration_and_no_annotation()
    {
        var finished = ActivationRecordWriter.Finish(
            new ActivationRecord
            {
                Id = default,
                Namespace = "zoe",
                Name = "tick",
                Version = "0.0.1",
                Subject = "zoe",
                StartMs = 100,
                EndMs = 0,
                Status = ActivationStatus.Success,
                Result = "{}"u8,
            },
            "tick");

        var record = JsonNode.Parse(finished.Record.Span)!.AsObject();

        Assert.Empty(record["annotations"]!.AsArray());
        Assert.Empty(record["logs"]!.AsArray());
        Assert.False(record.ContainsKey("end") || record.ContainsKey("duration"));
        Assert.Equal("""{"result":{},"status":"success","success":true}""", record["response"]!.ToJsonString());
    }

    [Fact]
    public void A_result_may_be_missing()
    {
        var finished = ActivationRecordWriter.Finish(
            new ActivationRecord
            {
                Id = default,
                Namespace = "a",
                Name = "b",
                Version = "0.0.1",
                Subject = "c",
                StartMs = 1,
                EndMs = 2,
                Status = ActivationStatus.WhiskError,
                Result = default,
                Action = new FullyQualifiedName("a", null, "b"),
                Kind = "unknown",
            },
            "b");

        Assert.Equal("""{"status":"whisk internal error","success":false}""", JsonNode.Parse(finished.Record.Span)!["response"]!.ToJsonString());
        Assert.True(finished.Result.IsEmpty);
    }
}
