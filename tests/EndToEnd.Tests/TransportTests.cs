using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace Frusta.EndToEnd.Tests;

/// <summary>What is said about a request before, or in spite of, what it asks for.</summary>
public sealed class TransportTests : IAsyncLifetime
{
    private const int MiB = 1024 * 1024;

    private readonly TemporaryFolder _folder = new();
    private ServerProcess _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _server = await ServerProcess.StartAsync(_folder.Sub("data"));

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

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
    public async Task A_transaction_id_that_no_header_can_carry_is_replaced_by_a_fresh_one()
    {
        var answer = await SendAsync("GET /api/v1/namespaces/_/limits", "X-Request-ID: caf\u00e9");
        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.Matches("(?m)^X-Request-ID: [A-Za-z0-9]{32}\r$", answer);
    }

    private async Task<int> PutAsync(string path, string json)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        using var answer = await _server.Http.PutAsync(path, content, Cancelled);
        return (int)answer.StatusCode;
    }

    /// <summary>Sends just these bytes, since clients tidy requests up.</summary>
    private async Task<string> SendAsync(string request, string header)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", _server.Port, Cancelled);
        var key = Convert.ToBase64String(Encoding.UTF8.GetBytes(ServerProcess.GuestKey));
        var stream = client.GetStream();
        await stream.WriteAsync(
            Encoding.UTF8.GetBytes($"{request} HTTP/1.1\r\nHost: frusta\r\nConnection: close\r\nAuthorization: Basic {key}\r\n{header}\r\n\r\n"), Cancelled);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync(Cancelled);
    }
}
