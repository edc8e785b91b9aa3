using System.Text;
using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;

namespace Frusta.Contracts.Tests.Json;

public sealed class JsonTextTests
{
    [Fact]
    public void Text_that_is_written_in_parts_is_what_a_writer_makes_of_the_whole()
    {
        var random = new Random(1);
        for (var i = 0; i < 2000; i++)
        {
            var letters = Enumerable.Range(0, random.Next(40)).Select(_ => random.Next(3) == 0 ? random.Next(0x80) : random.Next(0x20, 0xD800));
            var text = Encoding.UTF8.GetBytes(string.Concat(letters.Select(static letter => (char)letter)) + (i % 2 == 0 ? "\U0001F600" : ""));
            var cut = random.Next(text.Length + 1);
            using var written = PooledBuffer.Rent();
            written.Write("\""u8);
            JsonText.WriteText(written, text.AsSpan(0, cut));
            JsonText.WriteText(written, text.AsSpan(cut));
            written.Write("\""u8);

            using var whole = PooledBuffer.Rent();
            using (var json = new Utf8JsonWriter(whole, new JsonWriterOptions { Encoder = LeastEscaping.Instance }))
            {
                json.WriteStringValue(text);
            }

            Assert.Equal(Encoding.UTF8.GetString(whole.Span), Encoding.UTF8.GetString(written.Span));
        }
    }

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("\\u0061\\n\\/", "a\n/")]
    [InlineData("\\ud83d\\ude00", "\U0001F600")]
    [InlineData("a\\ud800b\\udc00", "a\uFFFDb\uFFFD")]
    [InlineData("\\ud800\\u0041", "\uFFFDA")]
    public void A_string_is_decoded_and_a_lone_surrogate_in_it_replaced(string escaped, string expected) =>
        Assert.Equal(expected, JsonText.Decode(Encoding.UTF8.GetBytes(escaped)));
}
