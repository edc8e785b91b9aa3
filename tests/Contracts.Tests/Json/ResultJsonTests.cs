using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;

namespace Frusta.Contracts.Tests.Json;

public sealed class ResultJsonTests
{
    [Theory]
    [InlineData("{}", "{}", JsonVerdict.Object)]
    [InlineData(" { \"a\" : [ 1 , 2.50 , { } ] , \"b\" : \"x \\u0041\" } ", "{\"a\":[1,2.50,{}],\"b\":\"x \\u0041\"}", JsonVerdict.Object)]
    [InlineData("{\"a\":1e400,\"a\":-0}\n", "{\"a\":1e400,\"a\":-0}", JsonVerdict.Object)]
    [InlineData("{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\"}", JsonVerdict.Object)]
    [InlineData("{\"a\":{\"error\":1}}", "{\"a\":{\"error\":1}}", JsonVerdict.Object)]
    [InlineData("{\"error\":\"x\",\"other\":1}", "{\"error\":\"x\"}", JsonVerdict.ObjectWithError)]
    [InlineData("{ \"x\":[{}], \"error\" : 1, \"error\" : { \"b\" : [ ] } , \"c\":2}", "{\"error\":{\"b\":[]}}", JsonVerdict.ObjectWithError)]
    [InlineData("{\"\\u0065rror\":null}", "{\"error\":null}", JsonVerdict.ObjectWithError)]
    [InlineData("{\"\\ud800\":null}", "{\"\\ud800\":null}", JsonVerdict.Object)]
    [InlineData("[ 1, {\"error\":2} ]", "[1,{\"error\":2}]", JsonVerdict.Array)]
    [InlineData("null\n", "", JsonVerdict.OtherJson)]
    [InlineData("\"x\"", "", JsonVerdict.OtherJson)]
    [InlineData("12", "", JsonVerdict.OtherJson)]
    [InlineData("", "", JsonVerdict.Empty)]
    [InlineData("  ", "", JsonVerdict.NotJson)]
    [InlineData("{}{}", "", JsonVerdict.NotJson)]
    [InlineData("{\"a\":01}", "", JsonVerdict.NotJson)]
    [InlineData("{\"a\":NaN}", "", JsonVerdict.NotJson)]
    [InlineData("{\"a\":1,}", "", JsonVerdict.NotJson)]
    [InlineData("{\"a\":1", "", JsonVerdict.NotJson)]
    [InlineData("\ufeff{}", "", JsonVerdict.NotJson)]
    public void A_result_is_read_whole_and_reduced_to_its_last_error(string body, string kept, JsonVerdict verdict)
    {
        using var destination = PooledBuffer.Copy("before"u8);

        Assert.Equal(verdict, ResultJson.Read(Encoding.UTF8.GetBytes(body), destination));

        Assert.Equal("before" + kept, Encoding.UTF8.GetString(destination.Span));
    }

    [Fact]
    public void Bytes_that_are_not_UTF8_are_not_JSON()
    {
        using var destination = PooledBuffer.Rent();

        Assert.Equal(JsonVerdict.NotJson, ResultJson.Read([.. "{\"a\":\""u8, 0xC3, 0x28, .. "\"}"u8], destination));
        Assert.Equal(0, destination.Length);
    }

    [Theory]
    [InlineData(JsonBounds.MaxDepth, JsonVerdict.Array)]
    [InlineData(JsonBounds.MaxDepth + 1, JsonVerdict.NotJson)]
    [InlineData(1_000_000, JsonVerdict.NotJson)]
    public void Depth_has_a_bound_and_never_a_crash(int depth, JsonVerdict verdict)
    {
        using var destination = PooledBuffer.Rent();

        Assert.Equal(verdict, ResultJson.Read(Encoding.ASCII.GetBytes(new string('[', depth) + new string(']', depth)), destination));
    }
}
