using Frusta.Controller.Tests.Entities;

namespace Frusta.Controller.Tests.Api;

/// <summary>A document that cannot be read is not taken for one that is missing, and nothing is written over it or beside it.</summary>
public sealed class CorruptEntityTests : IDisposable
{
    private const string Corrupt = "Resource is corrupted and cannot be read.";
    private const string Action = """{"exec": {"kind": "nodejs:default", "code": "x"}}""";

    private readonly MemoryStore _store = new();
    private readonly TestApi _api;

    public CorruptEntityTests() => _api = new TestApi(_store);

    public void Dispose() => _api.Dispose();

    [Theory]
    [InlineData("GET", "rules/r", null)]
    [InlineData("POST", "rules/r", """{"status": "active"}""")]
    [InlineData("POST", "rules/r", """{"status": "inactive"}""")]
    [InlineData("PUT", "rules/r?overwrite=true", """{"trigger": "/acme/two"}""")]
    [InlineData("DELETE", "rules/r", null)]
    public async Task A_rule_whose_trigger_cannot_be_read_says_so(string method, string path, string? body)
    {
        await PrepareAsync();
        _store.Corrupt.Add("acme/one");

        await RefusedAsync(500, Corrupt, method, path, body);

        _store.Corrupt.Clear();
        Assert.Equal("active", (string?)(await _api.DoAsync("GET", "rules/r"))!["status"]);
    }

    [Theory]
    [InlineData("acme/one", """{"trigger": "/acme/one", "action": "/acme/a"}""")]
    [InlineData("acme/a", """{"trigger": "/acme/one", "action": "/acme/a"}""")]
    [InlineData("acme/p", """{"trigger": "/acme/one", "action": "/acme/p/in"}""")]
    [InlineData("acme/p/in", """{"trigger": "/acme/one", "action": "/acme/p/in"}""")]
    [InlineData("acme/p/in", """{"trigger": "/acme/one", "action": "/acme/b/in"}""")]
    public async Task A_rule_is_not_made_of_what_cannot_be_read(string corrupt, string body)
    {
        await PrepareAsync();
        _store.Corrupt.Add(corrupt);

        // The right to read an action in a package is asked for first, which reads the package.
        await RefusedAsync(string.Equals(corrupt, "acme/p", StringComparison.Ordinal) ? 500 : 400, Corrupt, "PUT", "rules/other", body);
    }

    [Theory]
    [InlineData("acme/p", "GET", "actions/p/in", null)]
    [InlineData("acme/p", "GET", "actions/b/in", null)]
    [InlineData("acme/p/in", "GET", "actions/b/in", null)]
    [InlineData("acme/p", "POST", "actions/b/in", "{}")]
    [InlineData("acme/p/in", "POST", "actions/b/in", "{}")]
    [InlineData("acme/p", "GET", "packages/b", null)]
    [InlineData("acme/p/in", "PUT", "actions/s", """{"exec": {"kind": "sequence", "components": ["/acme/b/in"]}}""")]
    [InlineData("acme/p", "PUT", "actions/s", """{"exec": {"kind": "sequence", "components": ["/acme/b/in"]}}""")]
    public async Task The_way_through_a_binding_says_where_it_cannot_be_read(string corrupt, string method, string path, string? body)
    {
        await PrepareAsync();
        _store.Corrupt.Add(corrupt);

        await RefusedAsync(500, Corrupt, method, path, body);
    }

    private async Task PrepareAsync()
    {
        await _api.DoAsync("PUT", "actions/a", Action);
        await _api.DoAsync("PUT", "packages/p", "{}");
        await _api.DoAsync("PUT", "actions/p/in", Action);
        await _api.DoAsync("PUT", "packages/b", """{"binding": {"namespace": "acme", "name": "p"}}""");
        await _api.DoAsync("PUT", "triggers/one", "{}");
        await _api.DoAsync("PUT", "triggers/two", "{}");
        await _api.DoAsync("PUT", "rules/r", """{"trigger": "/acme/one", "action": "/acme/a"}""");
    }

    private async Task RefusedAsync(int status, string text, string method, string path, string? body)
    {
        var (answered, answer) = await _api.SendAsync(method, path, body);
        Assert.Equal((status, text), (answered, (string?)answer?["error"]));
    }
}
