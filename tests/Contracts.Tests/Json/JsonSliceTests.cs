using System.Text;
using System.Text.Json;
using Frusta.Contracts.Json;

namespace Frusta.Contracts.Tests.Json;

public sealed class JsonSliceTests
{
    private static readonly string[] Names = ["", "a", "b", "\\u0061", "a\\\"", "key", "é", "\\ud83d\\ude00"];
    private static readonly string[] Scalars =
        ["0", "-0.0", "1e400", "12345678901234567890123", "true", "false", "null", "\"\"", "\"x\"", "\"\\u00e9\\/\\n\\\\\"", "\"\\ud83d\\ude00😀\"", "\"\\u0001\\u007f\\u0041\""];

    [Fact]
    public void It_reads_what_a_document_tree_reads()
    {
        var random = new Random(12);
        for (var i = 0; i < 3000; i++)
        {
            var text = Make(random, 4);
            using var document = JsonDocument.Parse(text);
            var members = new Dictionary<string, JsonSlice>(StringComparer.Ordinal);
            var slice = JsonSlice.Parse(Encoding.UTF8.GetBytes(text), ["a", "key"], members);
            Compare(document.RootElement, slice, text);
            foreach (var name in (ReadOnlySpan<string>)["a", "key"])
            {
                var isThere = document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty(name, out _);
                Assert.Equal(isThere, members.ContainsKey(name));
                if (isThere)
                {
                    Compare(document.RootElement.GetProperty(name), members[name], text);
                }
            }
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{\"a\":1")]
    [InlineData("[1,]")]
    [InlineData("{} {}")]
    [InlineData("{\"a\" 1}")]
    [InlineData("nul")]
    [InlineData("\"\\x\"")]
    public void What_is_no_JSON_is_refused_in_the_words_of_a_document_tree(string text)
    {
        var expected = Assert.ThrowsAny<JsonException>(() => JsonDocument.Parse(text));
        var thrown = Assert.ThrowsAny<JsonException>(() => JsonSlice.Parse(Encoding.UTF8.GetBytes(text)));
        Assert.Equal(expected.Message, thrown.Message);
    }

    [Fact]
    public void What_nests_deeper_than_the_bound_is_refused()
    {
        Assert.Equal(JsonValueKind.Array, JsonSlice.Parse(Nested(JsonBounds.MaxDepth)).ValueKind);
        Assert.ThrowsAny<JsonException>(() => JsonSlice.Parse(Nested(JsonBounds.MaxDepth + 1)));
        Assert.Equal(JsonBounds.MaxDepth * 2, JsonSlice.Parse(Nested(JsonBounds.MaxDepth)).Minify().Length);

        static byte[] Nested(int depth) => Encoding.ASCII.GetBytes(new string('[', depth) + new string(']', depth));
    }

    [Theory]
    [InlineData("\"\\ud800\"")]
    [InlineData("\"\\udc00x\"")]
    public void A_lone_surrogate_is_no_text(string json)
    {
        var slice = JsonSlice.Parse(Encoding.UTF8.GetBytes(json));
        using var document = JsonDocument.Parse(json);
        var expected = Assert.Throws<InvalidOperationException>(document.RootElement.GetString);
        Assert.Equal(expected.Message, Assert.Throws<InvalidOperationException>(slice.GetString).Message);
        Assert.Throws<InvalidOperationException>(slice.GetUtf8);
        Assert.Throws<InvalidOperationException>(slice.Minify);
    }

    [Theory]
    [InlineData("\"\\ud800\"", false)]
    [InlineData("{\"\\udc00\": 1}", false)]
    [InlineData("[\"\\ud800\\ud800\"]", false)]
    [InlineData("[\"\\ud83d\\n\\ude00\"]", false)]
    [InlineData("[\"\\ud83d\\ude00\\\\ud800\\n\"]", true)]
    [InlineData("[1", false)]
    [InlineData("", false)]
    [InlineData("\"\\u12", false)]
    [InlineData("\"\\ud83d", false)]
    [InlineData("\"\\", false)]
    public void A_text_from_outside_is_parsed_or_refused_with_words_of_our_own(string json, bool isParsed)
    {
        Assert.Equal(isParsed, JsonSlice.TryParse(Encoding.UTF8.GetBytes(json), [], null, out var value, out var problem));
        Assert.Equal(isParsed, problem is null);
        Assert.Equal(isParsed ? json.Length : 0, value.Length);
    }

    [Fact]
    public void Bytes_that_are_not_UTF8_are_refused() =>
        Assert.False(JsonSlice.TryParse(new byte[] { (byte)'"', 0xC3, (byte)'"' }, [], null, out _, out _));

    /// <summary>25 million tokens, of which a document tree would take 300 MB.</summary>
    [Fact]
    public void What_is_large_costs_nothing_beside_its_text()
    {
        var text = new byte[16 << 20];
        text.AsSpan().Fill((byte)'1');
        for (var i = 1; i < text.Length; i += 2)
        {
            text[i] = (byte)',';
        }

        (text[0], text[^1]) = ((byte)'[', (byte)']');
        text[1] = (byte)'1';
        text[2] = (byte)',';
        text[3] = (byte)'1';
        var before = GC.GetAllocatedBytesForCurrentThread();
        var slice = JsonSlice.Parse(text);
        Assert.Equal(text.Length, slice.MinifiedLength());
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 * 1024);
    }

    private static void Compare(JsonElement expected, JsonSlice slice, string text)
    {
        Assert.Equal(expected.ValueKind, slice.ValueKind);
        var minified = Minify(expected);
        Assert.Equal(minified, Encoding.UTF8.GetString(slice.Minify()));
        Assert.Equal(Encoding.UTF8.GetByteCount(minified), slice.MinifiedLength());
        Assert.Equal(expected.GetRawText(), slice.GetRawText(text.Length));
        switch (expected.ValueKind)
        {
            case JsonValueKind.String:
                Assert.Equal(expected.GetString(), slice.GetString());
                Assert.Equal(expected.GetString(), Encoding.UTF8.GetString(slice.GetUtf8()));
                break;
            case JsonValueKind.Array:
                var elements = expected.EnumerateArray();
                foreach (var element in slice.EnumerateArray())
                {
                    Assert.True(elements.MoveNext());
                    Compare(elements.Current, element, text);
                }

                Assert.False(elements.MoveNext());
                break;
            case JsonValueKind.Object:
                Assert.Equal(!expected.EnumerateObject().Any(), slice.IsEmptyObject());
                foreach (var name in (ReadOnlySpan<string>)["", "a", "b", "a\"", "key", "é", "😀", "missing"])
                {
                    Assert.Equal(expected.TryGetProperty(name, out var member), slice.TryGetProperty(name, out var found));
                    if (member.ValueKind != JsonValueKind.Undefined)
                    {
                        Compare(member, found, text);
                    }
                }

                break;
        }
    }

    private static string Minify(JsonElement element)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = LeastEscaping.Instance }))
        {
            element.WriteTo(writer);
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static string Make(Random random, int depth)
    {
        var space = random.Next(4) == 0 ? " \n" : "";
        if (depth == 0 || random.Next(4) == 0)
        {
            return space + Scalars[random.Next(Scalars.Length)] + space;
        }

        var count = random.Next(5);
        var isObject = random.Next(2) == 0;
        var parts = Enumerable.Range(0, count).Select(_ => (isObject ? $"\"{Names[random.Next(Names.Length)]}\"{space}:" : "") + Make(random, depth - 1));
        return space + (isObject ? "{" : "[") + string.Join(',', parts) + (isObject ? "}" : "]") + space;
    }
}
