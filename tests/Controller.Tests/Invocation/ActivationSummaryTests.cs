using System.Text;
using System.Text.Json.Nodes;
using Frusta.Contracts.Buffers;
using Frusta.Controller.Invocation;

namespace Frusta.Controller.Tests.Invocation;

public sealed class ActivationSummaryTests
{
    private const string Record = """
        {"activationId":"1","annotations":[{"key":"path","value":"a/b"}],"cause":"2","duration":7,"end":150,"name":"b","namespace":"a","publish":false,
        "response":{"result":{"error":{"status":"success"}},"size":3,"status":"action developer error","success":false},
        "start":100,"subject":"s","version":"0.0.1","logs":["x"]}
        """;

    [Fact]
    public void An_entry_has_the_code_and_the_span_of_time_and_neither_result_nor_logs()
    {
        using var entry = PooledBuffer.Rent();
        ActivationSummary.Write(Encoding.UTF8.GetBytes(Record), entry);

        var expected = """
            {"activationId":"1","annotations":[{"key":"path","value":"a/b"}],"cause":"2","end":150,"name":"b","namespace":"a","publish":false,
            "start":100,"version":"0.0.1","duration":50,"statusCode":2}
            """;
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(entry.Span)));
    }

    [Fact]
    public void An_entry_is_the_same_where_the_record_was_read_only_up_to_its_logs()
    {
        using var whole = PooledBuffer.Rent();
        using var beforeLogs = PooledBuffer.Rent();
        ActivationSummary.Write(Encoding.UTF8.GetBytes(Record), whole);
        ActivationSummary.Write(Encoding.UTF8.GetBytes(Record[..Record.IndexOf("[\"x\"]", StringComparison.Ordinal)]), beforeLogs);

        Assert.Equal(Encoding.UTF8.GetString(whole.Span), Encoding.UTF8.GetString(beforeLogs.Span));
    }

    [Fact]
    public void A_trigger_has_neither_code_nor_duration()
    {
        using var entry = PooledBuffer.Rent();
        ActivationSummary.Write("{\"name\":\"t\",\"response\":{\"status\":\"success\"},\"start\":100,\"logs\":[]}"u8, entry);

        Assert.Equal("{\"name\":\"t\",\"start\":100}", Encoding.UTF8.GetString(entry.Span));
    }

    [Fact]
    public void A_member_is_cut_out_as_it_stands()
    {
        var record = Encoding.UTF8.GetBytes(Record);

        Assert.Equal("[\"x\"]", Encoding.UTF8.GetString(ActivationSummary.Member(record, "logs"u8)));
        Assert.True(ActivationSummary.Member(record, "none"u8).IsEmpty);
    }
}
