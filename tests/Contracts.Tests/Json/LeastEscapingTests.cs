using System.Text;
using System.Text.Json;
using Frusta.Contracts.Json;

namespace Frusta.Contracts.Tests.Json;

public sealed class LeastEscapingTests
{
    private static readonly JsonWriterOptions Options = new() { Encoder = LeastEscaping.Instance };

    [Theory]
    [InlineData("\U0001F600 \u007F\u0080\u00A0\u0378\u2028\u3000\uFEFF\uFFFE\uE000", "\U0001F600 \u007F\u0080\u00A0\u0378\u2028\u3000\uFEFF\uFFFE\uE000")]
    [InlineData("<a href='x'>&+é€</a>", "<a href='x'>&+é€</a>")]
    [InlineData("a\"b\\c/d", "a\\\"b\\\\c/d")]
    [InlineData("\b\f\n\r\t\0\u0001\u001F", "\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f")]
    public void Only_quotes_backslashes_and_controls_are_escaped(string text, string written)
    {
        Assert.Equal($"\"{written}\"", Write(json => json.WriteStringValue(text)));
        Assert.Equal($"\"{written}\"", Write(json => json.WriteStringValue(Encoding.UTF8.GetBytes(text))));
        Assert.Equal(text, JsonSerializer.Deserialize<string>(Write(json => json.WriteStringValue(text))));
    }

    [Fact]
    public void Half_a_character_is_replaced()
    {
        Assert.Equal("\"a\uFFFDb\"", Write(static json => json.WriteStringValue("a\uD83Db")));
        Assert.Equal("\"a\uFFFDb\"", Write(static json => json.WriteStringValue([(byte)'a', 0xC3, (byte)'b'])));
    }

    [Fact]
    public void What_was_sent_escaped_is_written_as_it_is()
    {
        using var document = JsonDocument.Parse("""["\ud83d\ude00", "\u00a0", "\u003c", "\/"]""");
        Assert.Equal("[\"\U0001F600\",\"\u00A0\",\"<\",\"/\"]", Write(document.RootElement.WriteTo));
    }

    private static string Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            write(json);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
