using System.Text;
using System.Text.Json;

namespace Frusta.EndToEnd.Tests.Fuzzing;

/// <summary>Valid JSON made a little wrong: the bytes that come out are mostly still JSON, and seldom what an entity should be.</summary>
internal sealed class JsonMutation(Random random)
{
    private const string LoneSurrogate = "\"\\ud800\"";

    private static readonly string[] OddValues =
    [
        "null", "true", "false", "0", "-1", "1e400", "-0", "1.5", "2147483648", "9223372036854775808", "1" + new string('0', 400), "\"\"", "\" \"",
        LoneSurrogate, "\"a\\udc00b\"", "\"\\u0000\"", "\"\\u007f\\u0085\\u2028\"", "\"\uFEFF\"", "\"\U0001F600\"", "[]", "{}", "[[]]", "[null]", "{\"\":null}",
        "{\"\\ud800\":1}", "{\"a\":1,\"a\":2}", "\"/_/a\"", "\"//\"", "\"a/b/c/d\"", "\"..\"", "\"guest\"", "\"_\"", "\"0.0.1\"", "\"1.2.3.4\"", "\"99999999999.0.0\"",
        "\"active\"", "\"sequence\"", "\"blackbox\"", "\"nodejs:20\"", "\"python:3.11\"", "\"UEsDBA==\"", "\"=\"", "\"\\uD83D\\uDE00\"",
    ];

    private static readonly string[] NoJson =
        ["", " ", "{", "}", "nul", "{\"a\":}", "{\"a\" 1}", "[1,]", "{\"a\":1}x", "\uFEFF{}", "'a'", "NaN", "\"\n\"", "{\"a\":01}", "/**/{}", "\"\\u12\"", "\0"];

    /// <summary>The text with some of its values, names or members changed, added, doubled or left out.</summary>
    public byte[] Mutate(string valid)
    {
        if (random.Next(25) == 0)
        {
            return Encoding.UTF8.GetBytes(Pick(NoJson));
        }

        using var document = JsonDocument.Parse(valid);
        var text = new StringBuilder();
        Write(text, document.RootElement, random.Next(4) == 0 ? 0 : 12);
        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        if (bytes.Length > 0 && random.Next(30) == 0)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }

        return bytes;
    }

    /// <param name="text">Where it is written.</param>
    /// <param name="value">The valid value.</param>
    /// <param name="oneIn">One value in so many is changed; 0 changes none.</param>
    private void Write(StringBuilder text, JsonElement value, int oneIn)
    {
        if (oneIn > 0 && random.Next(oneIn) == 0)
        {
            text.Append(Odd());
            return;
        }

        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                WriteObject(text, value, oneIn);
                break;
            case JsonValueKind.Array:
                text.Append('[').AppendJoin(',', value.EnumerateArray().Select(element => Text(element, oneIn))).Append(']');
                break;
            default:
                text.Append(value.GetRawText());
                break;
        }
    }

    private void WriteObject(StringBuilder text, JsonElement value, int oneIn)
    {
        var members = new List<string>();
        foreach (var member in value.EnumerateObject())
        {
            var what = oneIn == 0 ? 4 : random.Next(oneIn * 2);
            var name = what == 1 ? Pick(["\"\"", LoneSurrogate, "\"\\u0000\"", "\"key\"", "\"value\"", "\"__proto__\""]) : JsonSerializer.Serialize(member.Name);
            if (what != 0)
            {
                members.Add($"{name}:{Text(member.Value, oneIn)}");
            }

            if (what == 2)
            {
                members.Add($"{name}:{Odd()}");
            }
        }

        if (oneIn > 0 && random.Next(oneIn) == 0)
        {
            members.Add($"{Pick([LoneSurrogate, "\"more\"", "\"init\"", "\"encryption\"", "\"limits\""])}:{Odd()}");
        }

        text.Append('{').AppendJoin(',', members).Append('}');
    }

    private string Text(JsonElement value, int oneIn)
    {
        var text = new StringBuilder();
        Write(text, value, oneIn);
        return text.ToString();
    }

    private string Odd()
    {
        switch (random.Next(40))
        {
            case 0:
                var depth = Pick([10, 200, 999, 1001, 20_000]);
                return new string('[', depth) + new string(']', depth);
            case 1:
                var objects = Pick([10, 400, 1100]);
                return string.Concat(Enumerable.Repeat("{\"a\":", objects)) + "1" + new string('}', objects);
            case 2:
                return $"\"{new string('x', Pick([300, 5_000, 100_000]))}\"";
            default:
                return Pick(OddValues);
        }
    }

    private T Pick<T>(T[] choices) => choices[random.Next(choices.Length)];
}
