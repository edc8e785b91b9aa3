using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace Frusta.EndToEnd.Tests;

/// <summary>What is said about a request before, or in spite of, what it asks for.</summary>
public sealed class TransportTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private const int MiB = 1024 * 1024;

    private readonly ServerProcess _server = shared.Server;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("triggers/deep", "{{\"parameters\":[{{\"key\":\"a\",\"value\":{0}}}]}}")]
    [InlineData("packages/deep", "{{\"annotations\":[{{\"key\":\"a\",\"value\":{0}}}]}}")]
    [InlineData("actions/deep", "{{\"exec\":{{\"kind\":\"nodejs:20\",\"code\":\"x\"}},\"parameters\":[{{\"key\":\"a\",\"value\":{0}}}]}}")]
    public async Task An_entity_whose_values_nest_as_deep_as_they_may_can_be_read_changed_and_deleted(string path, string body)
    {
        var json = string.Format(System.Globalization.CultureInfo.InvariantCulture, body, new string('[', 900) + new string(']', 900));
        foreach (var status in new[] { await PutAsync(path, json), await PutAsync(path + "?overwrite=true", json), (int)(await _server.Http.GetAsync(path, Cancelled)).StatusCode })
        {
            Assert.Equal(200, status);
        }

        Assert.Equal(200, (int)(await _server.Http.DeleteAsync(path, Cancelled)).StatusCode);
    }

    [Fact]
    public async Task Parameters_are_counted_by_their_bytes_in_UTF8_and_shown_as_they_were_sent()
    {
        var text = string.Concat(Enumerable.Repeat("\U0001F600\u00A0", 100_000));
        Assert.Equal(200, await PutAsync("triggers/smile", $$"""{"parameters":[{"key":"k","value":"{{text}}"}]}"""));
        Assert.Contains("\U0001F600\u00A0\U0001F600", await _server.Http.GetStringAsync("triggers/smile", Cancelled), StringComparison.Ordinal);
        Assert.Equal(413, await PutAsync("triggers/larger", $$"""{"parameters":[{"key":"k","value":"{{text}}{{text}}"}]}"""));
    }

    [Fact]
    public async Task A_body_of_more_than_fifty_MiB_gets_its_413_and_the_connection_goes_on()
    {
        using var content = new ByteArrayContent(new byte[51 * MiB]);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var answer = await _server.Http.PutAsync("triggers/large", content, Cancelled);
        Assert.Equal(413, (int)answer.StatusCode);
        Assert.Equal("Content Too Large", answer.ReasonPhrase);
        Assert.Equal(404, (int)(await _server.Http.GetAsync("triggers/large", Cancelled)).StatusCode);
    }

    [Fact]
    public async Task A_rule_is_refused_a_body_of_another_type_even_an_empty_one()
    {
        using var content = new ByteArrayContent([]);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("Text/Plain;charset=utf-8");
        using var answer = await _server.Http.PostAsync("rules/none", content, Cancelled);
        Assert.Equal(415, (int)answer.StatusCode);
        Assert.Contains("[text/plain; charset=UTF-8]", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET /api/v1/%6eamespaces/%5F/%61ctions", 200)]
    [InlineData("GET /%70ing", 200)]
    [InlineData("GET /api/v1/namespaces/_/actions%2Fx", 404)]
    [InlineData("get /ping", 501)]
    [InlineData("FETCH /ping", 501)]
    public async Task Words_of_a_path_may_be_escaped_and_methods_are_told_apart_by_case(string request, int status) =>
        Assert.StartsWith($"HTTP/1.1 {status} ", await SendAsync(request, "X-Nothing: here"), StringComparison.Ordinal);

    [Fact]
    public async Task A_target_of_more_than_eight_KiB_is_too_long()
    {
        var path = "/ping?" + new string('x', 8192 - 6);
        Assert.StartsWith("HTTP/1.1 200 ", await SendAsync("GET " + path, "X-Nothing: here"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 414 ", await SendAsync($"GET {path}x", "X-Nothing: here"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_transaction_id_that_is_not_of_printable_ASCII_is_replaced_by_a_fresh_one()
    {
        foreach (var id in (string[])["caf\u00e9", "a\u0001b", "\u007f", "a\tb"])
        {
            var answer = await SendAsync("GET /api/v1/namespaces/_/limits", $"X-Request-ID: {id}");
            Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
            Assert.Matches("(?m)^X-Request-ID: [A-Za-z0-9]{32}\r$", answer);
        }
    }

    [Theory]
    [InlineData("X-Request-ID: a\u0001b", 202)]
    [InlineData("Accept: text/html", 406)]
    public async Task Whatever_is_said_about_the_answer_a_call_that_was_taken_gives_its_client_the_id(string header, int status)
    {
        await _server.PutActionAsync("taken", "function main() { return {}; }");
        var answer = await SendAsync("POST /api/v1/namespaces/_/actions/taken", header);
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        var id = answer.Split("x-openwhisk-activation-id: ")[1][..32];
        await _server.GetWhenThereAsync("activations/" + id);
    }

    [Fact]
    public async Task A_chunk_of_no_possible_size_is_a_malformed_request()
    {
        foreach (var size in (string[])["ffffffffffffffff", "80000000", "-1"])
        {
            var answer = await SendAsync("PUT /api/v1/namespaces/_/triggers/chunked", "Content-Type: application/json\r\nTransfer-Encoding: chunked", $"{size}\r\n");
            Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
            Assert.Contains("\"error\":\"Bad chunk size data.\"", answer, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_target_with_scheme_and_host_is_served_as_its_path_is()
    {
        (string Request, int Status)[] requests =
        [
            ("GET http://elsewhere:81/api/v1/namespaces/_/limits?a=b", 200), ("GET http://[::1]/%61pi/v1/namespaces/_/limits", 200), ("GET https://frusta/ping", 200),
            ("GET http://frusta", 200), ("GET http://frusta?a=b", 200), ("GET http://frusta/nothing", 405), ("OPTIONS *", 200), ("CONNECT http://frusta/ping", 405), ("CONNECT frusta", 405),
        ];
        foreach (var (request, status) in requests)
        {
            Assert.StartsWith($"HTTP/1.1 {status} ", await SendAsync(request, "X-Nothing: here"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_parameter_for_the_environment_may_hold_what_no_environment_can()
    {
        (string Arguments, string Expected)[] calls =
        [
            ("""{"p":"\ud800"}""", "\uFFFD"),
            ("""{"\ud800":1,"p":"a\udc00\ud83d\ude00\n"}""", "a\uFFFD\U0001F600\n"),
            ("""{"\u0070":{"a":"\ud800"}}""", "{\"a\":\"\\ud800\"}"),
        ];
        for (var i = 0; i < calls.Length; i++)
        {
            await _server.PutAsync($"actions/environment{i}", new
            {
                exec = new { kind = "nodejs:20", code = "function main() { return {p: process.env.p}; }" },
                parameters = new[] { new { key = "p", value = "x", init = true } },
            });
            using var content = new StringContent(calls[i].Arguments, Encoding.UTF8, "application/json");
            using var answer = await _server.Http.PostAsync($"actions/environment{i}?blocking=true&result=true", content, Cancelled);
            var text = await answer.Content.ReadAsStringAsync(Cancelled);
            Assert.True(answer.IsSuccessStatusCode, text);
            using var result = System.Text.Json.JsonDocument.Parse(text);
            Assert.Equal(calls[i].Expected, result.RootElement.GetProperty("p").GetString());
        }
    }

    private async Task<int> PutAsync(string path, string json)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        using var answer = await _server.Http.PutAsync(path, content, Cancelled);
        return (int)answer.StatusCode;
    }

    /// <summary>Sends just these bytes, since clients tidy requests up.</summary>
    private async Task<string> SendAsync(string request, string header, string body = "")
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", _server.Port, Cancelled);
        var key = Convert.ToBase64String(Encoding.UTF8.GetBytes(ServerProcess.GuestKey));
        var stream = client.GetStream();
        await stream.WriteAsync(
            Encoding.UTF8.GetBytes($"{request} HTTP/1.1\r\nHost: frusta\r\nConnection: close\r\nAuthorization: Basic {key}\r\n{header}\r\n\r\n{body}"), Cancelled);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync(Cancelled);
    }
}
