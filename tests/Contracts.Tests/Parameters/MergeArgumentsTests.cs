using System.Text;
using System.Text.Json.Nodes;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Parameters;

namespace Frusta.Contracts.Tests.Parameters;

public sealed class MergeArgumentsTests
{
    [Theory]
    [InlineData("", "{}")]
    [InlineData(" { } ", "{}")]
    [InlineData("{\"a\":1}", "{\"a\":1}")]
    [InlineData("{ \"a\" : 1e400, \"b\":[ -0 , 12345678901234567890.10 ]}", "{\"a\":1e400,\"b\":[-0,12345678901234567890.10]}")]
    [InlineData("{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}")]
    [InlineData("{\"a\":1, \"\\u0061\":{\"a\":1,\"a\":2}}", "{\"\\u0061\":{\"a\":1,\"a\":2}}")]
    [InlineData("{\"\\ud83d\\ude00\":1,\"😀\":2}", "{\"😀\":2}")]
    [InlineData("{\"\\ud800\":1,\"\\udc00\":2,\"\\uD800\":3}", "{\"\\udc00\":2,\"\\uD800\":3}")]
    [InlineData("{\"\":1,\"\":2}", "{\"\":2}")]
    public void Each_name_is_there_once_and_the_last_wins(string body, string merged) =>
        Assert.Equal((MergeOutcome.Merged, merged), Merge(body, ParameterLayer.Empty));

    [Theory]
    [InlineData("[]", MergeOutcome.NotAnObject)]
    [InlineData("null", MergeOutcome.NotAnObject)]
    [InlineData("\"x\"", MergeOutcome.NotAnObject)]
    [InlineData("[1,]", MergeOutcome.Malformed)]
    [InlineData("{\"a\":1}x", MergeOutcome.Malformed)]
    [InlineData("{\"a\":\"\u0001\"}", MergeOutcome.Malformed)]
    [InlineData("  ", MergeOutcome.Malformed)]
    [InlineData("\ufeff{}", MergeOutcome.Malformed)]
    public void What_is_no_object_is_told_from_what_is_no_JSON(string body, MergeOutcome outcome) =>
        Assert.Equal(outcome, Merge(body, ParameterLayer.Empty).Outcome);

    [Theory]
    [InlineData(JsonBounds.MaxDepth - 1, MergeOutcome.Merged)]
    [InlineData(JsonBounds.MaxDepth, MergeOutcome.Malformed)]
    [InlineData(400_000, MergeOutcome.Malformed)]
    public void Depth_has_a_bound_and_never_a_crash(int depth, MergeOutcome outcome) =>
        Assert.Equal(outcome, Merge($"{{\"a\":{new string('[', depth)}{new string(']', depth)}}}", ParameterLayer.Empty).Outcome);

    [Fact]
    public void Bound_parameters_lie_under_the_request()
    {
        var bound = ParameterLayer.Merge(
            [Pair("a", "1"), Pair("b", "1", init: true), Pair("c", "1")],
            [Pair("b", "2"), Pair("d", "[2]", init: true)]);

        Assert.Equal((MergeOutcome.Merged, "{\"a\":1,\"b\":2,\"c\":1,\"d\":[2]}"), Merge("", bound));
        Assert.Equal((MergeOutcome.Merged, "{\"\\u0062\":3,\"e\":4,\"a\":1,\"c\":1,\"d\":[2]}"), Merge("{\"\\u0062\":3,\"e\":4}", bound));
        Assert.Equal((MergeOutcome.Merged, "{\"d\":5,\"c\":5,\"b\":5,\"a\":5}"), Merge("{\"d\":5,\"c\":5,\"b\":5,\"a\":5}", bound));
        Assert.Equal(["d"], bound.InitNames);
    }

    [Fact]
    public void A_final_parameter_may_not_be_named_unless_it_is_null()
    {
        var bound = ParameterLayer.Merge([Pair("a", "1"), Pair("b", "null")]);

        Assert.Equal(MergeOutcome.NamesFinal, Merge("{\"\\u0061\":null}", bound, refuseFinal: true).Outcome);
        Assert.Equal((MergeOutcome.Merged, "{\"b\":2,\"a\":1}"), Merge("{\"b\":2}", bound, refuseFinal: true));
        Assert.Equal((MergeOutcome.Merged, "{\"a\":2,\"b\":null}"), Merge("{\"a\":2}", bound));
    }

    [Fact]
    public void Any_merge_is_what_a_plain_model_makes_of_it()
    {
        var random = new Random(20_010);
        for (var round = 0; round < 3000; round++)
        {
            var layers = new[] { Layer(random), Layer(random), Layer(random) };
            var body = Body(random, out var members);
            var expected = new JsonObject();
            foreach (var pair in layers.SelectMany(layer => layer))
            {
                expected[pair.Key] = JsonNode.Parse(pair.Value.Span);
            }

            foreach (var (name, value) in members)
            {
                expected[name] = JsonNode.Parse(value);
            }

            var (outcome, text) = Merge(body, ParameterLayer.Merge(layers));

            Assert.Equal(MergeOutcome.Merged, outcome);
            Assert.True(JsonNode.DeepEquals(expected, JsonNode.Parse(text)), $"{body} became {text}, but is {expected.ToJsonString()}");
            Assert.Equal(expected.Count, TopLevelNames(text));
        }
    }

    [Fact]
    public void Very_many_names_are_merged_in_no_time()
    {
        var body = $"{{{string.Join(',', Enumerable.Range(0, 100_000).Select(i => $"\"n{i % 50_000}\":{i}"))}}}";

        var (outcome, text) = Merge(body, ParameterLayer.Merge([Pair("n7", "0"), Pair("x", "0")]));

        Assert.Equal(MergeOutcome.Merged, outcome);
        Assert.Equal(50_001, TopLevelNames(text));
    }

    private static int TopLevelNames(string text)
    {
        using var document = System.Text.Json.JsonDocument.Parse(text);
        return document.RootElement.EnumerateObject().Count();
    }

    private static (MergeOutcome Outcome, string Text) Merge(string body, ParameterLayer bound, bool refuseFinal = false)
    {
        using var destination = PooledBuffer.Rent();
        var outcome = MergeArguments.Merge(Encoding.UTF8.GetBytes(body), bound, refuseFinal, destination);
        return (outcome, Encoding.UTF8.GetString(destination.Span));
    }

    private static KeyValue Pair(string name, string value, bool init = false) => new(name, Encoding.UTF8.GetBytes(value), init);

    private static readonly string[] Names = ["a", "b", "é", "\"", "\\", "\n", "", "name with blank", "😀", "/"];
    private static readonly string[] Values = ["1", "null", "\"x\\\"y\"", "[ 1, [ ], {\"a\" : 2} ]", "{ }", "true", "-1.5E+3", "{\"a\":{\"b\":[ {} ,{} ]}}"];

    private static IReadOnlyList<KeyValue> Layer(Random random) =>
        [.. Enumerable.Range(0, random.Next(4)).Select(_ => Pair(Names[random.Next(Names.Length)], JsonNode.Parse(Values[random.Next(Values.Length)])?.ToJsonString() ?? "null"))];

    private static string Body(Random random, out List<(string Name, string Value)> members)
    {
        members = [.. Enumerable.Range(0, random.Next(random.Next(2) == 0 ? 4 : 40)).Select(_ => (Names[random.Next(Names.Length)] + (random.Next(3) == 0 ? "2" : ""), Values[random.Next(Values.Length)]))];
        var text = new StringBuilder("{");
        foreach (var (name, value) in members)
        {
            text.Append(text.Length > 1 ? "," : "").Append(Blank(random)).Append(Quote(random, name)).Append(Blank(random)).Append(':').Append(Blank(random)).Append(value).Append(Blank(random));
        }

        return text.Append(Blank(random)).Append('}').Append(Blank(random)).ToString();
    }

    private static string Blank(Random random) => random.Next(8) == 0 ? " \n\t" : "";

    private static string Quote(Random random, string name)
    {
        var text = new StringBuilder("\"");
        foreach (var unit in name)
        {
            if (unit is '"' or '\\' or '\n' || random.Next(4) == 0)
            {
                text.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
            }
            else if (char.IsSurrogate(unit))
            {
                text.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\u{(int)unit:X4}");
            }
            else
            {
                text.Append(unit);
            }
        }

        return text.Append('"').ToString();
    }
}
