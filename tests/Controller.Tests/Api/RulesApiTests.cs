using System.Text.Json.Nodes;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Controller.Tests.Entities;
using Frusta.Store;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Controller.Tests.Api;

/// <summary>A rule and the triggers that know it change together: with many writers at once, and when the server ends in the middle.</summary>
public sealed class RulesApiTests : IAsyncLifetime
{
    private const int Writers = 64;

    private readonly TemporaryFolder _folder = new();
    private SqliteEntityStore _store = null!;
    private TestApi _api = null!;

    /// <summary>Each on the rule <c>r</c> of trigger <c>one</c> and action <c>a</c>; the method, the path and the body.</summary>
    public static TheoryData<string, string, string?> Changes => new()
    {
        { "PUT", "rules/new", Rule("one", "a") },
        { "DELETE", "rules/r", null },
        { "PUT", "rules/r?overwrite=true", Rule("two", "a") },
        { "PUT", "rules/r?overwrite=true", Rule("one", "b") },
        { "PUT", "rules/r?overwrite=true", Rule("two", "b") },
        { "PUT", "rules/r?overwrite=true", "{}" },
        { "POST", "rules/r", """{"status": "inactive"}""" },
        { "PUT", "triggers/one?overwrite=true", """{"annotations": [{"key": "a", "value": 1}]}""" },
        { "DELETE", "triggers/one", null },
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _store = SqliteEntityStore.Open(_folder.Path, new EntityStoreOptions(), TimeProvider.System, NullLogger<SqliteEntityStore>.Instance);
        _api = new TestApi(new CachedEntityStore(_store, new CachedEntityOptions(), new EmbeddedCacheInvalidation()));
        await PrepareAsync(_api);
    }

    public async ValueTask DisposeAsync()
    {
        _api.Dispose();
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Rules_of_one_trigger_are_made_and_deleted_by_many_at_once_and_nobody_is_refused()
    {
        await AtOnceAsync(i => _api.DoAsync("PUT", $"rules/r{i}", Rule("one", "a")));

        Assert.Equal(Writers, (await FiredAsync("one")).Length);

        await AtOnceAsync(i => _api.DoAsync("DELETE", $"rules/r{i}"));

        Assert.Empty(await FiredAsync("one"));
        Assert.Empty(await StoredLinksAsync("one"));
    }

    [Fact]
    public async Task A_trigger_that_is_written_while_rules_are_added_keeps_them_all()
    {
        await AtOnceAsync(i => i % 2 == 0
            ? _api.DoAsync("PUT", $"rules/r{i}", Rule("one", "a"))
            : _api.DoAsync("PUT", "triggers/one?overwrite=true", "{}"));

        Assert.Equal(Writers / 2, (await FiredAsync("one")).Length);
        Assert.Equal($"0.0.{(Writers / 2) + 1}", (string?)(await _api.DoAsync("GET", "triggers/one"))!["version"]);
    }

    [Fact]
    public async Task Rules_that_are_moved_switched_and_deleted_at_once_are_in_one_trigger_each_and_as_they_say()
    {
        await AtOnceAsync(i => _api.DoAsync("PUT", $"rules/r{i}", Rule("one", "a")));

        await AtOnceAsync(async i =>
        {
            await _api.DoAsync("PUT", $"rules/r{i}?overwrite=true", Rule("two", "b"));
            await _api.DoAsync("POST", $"rules/r{i}", """{"status": "inactive"}""");
            await _api.DoAsync("POST", $"rules/r{i}", i % 3 == 0 ? """{"status": "active"}""" : """{"status": "inactive"}""");
            if (i % 2 == 0)
            {
                await _api.DoAsync("DELETE", $"rules/r{i}");
            }
        });

        Assert.Empty(await StoredLinksAsync("one"));
        Assert.Equal(Writers / 2, (await StoredLinksAsync("two")).Count);
        Assert.Equal(
            Enumerable.Range(0, Writers).Where(i => i % 2 == 1 && i % 3 == 0).Select(i => $"acme/r{i} acme/b").Order(StringComparer.Ordinal),
            await FiredAsync("two"),
            StringComparer.Ordinal);
    }

    [Fact]
    public async Task Of_many_that_make_the_same_rule_one_does_and_what_the_others_asked_for_changes_nothing()
    {
        var statuses = new int[Writers];
        await AtOnceAsync(async i => statuses[i] = (await _api.SendAsync("PUT", "rules/same", Rule(i % 2 == 0 ? "one" : "two", "a"))).Status);

        var winner = Assert.Single(Enumerable.Range(0, Writers), i => statuses[i] == 200);
        Assert.All(statuses.Where(status => status != 200), status => Assert.Equal(409, status));
        Assert.Equal("acme/same acme/a", Assert.Single(await FiredAsync(winner % 2 == 0 ? "one" : "two")));
        Assert.Empty(await StoredLinksAsync(winner % 2 == 0 ? "two" : "one"));
    }

    [Fact]
    public async Task A_trigger_that_is_deleted_while_its_rules_change_leaves_them_inactive()
    {
        await AtOnceAsync(i => _api.DoAsync("PUT", $"rules/r{i}", Rule("one", "a")));

        await AtOnceAsync(i => i == Writers / 2
            ? _api.DoAsync("DELETE", "triggers/one")
            : _api.SendAsync("PUT", $"rules/r{i}?overwrite=true", Rule("one", "b")));
        await _api.DoAsync("PUT", "triggers/one", "{}");

        Assert.Empty(await FiredAsync("one"));
        for (var i = 0; i < Writers; i++)
        {
            Assert.Equal("inactive", (string?)(await _api.DoAsync("GET", $"rules/r{i}"))!["status"]);
        }
    }

    [Fact]
    public async Task A_rule_shows_as_active_all_the_time_that_it_is_moved_to_and_fro()
    {
        await _api.DoAsync("PUT", "rules/r", Rule("one", "a"));
        var moving = Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                await _api.DoAsync("PUT", "rules/r?overwrite=true", Rule(i % 2 == 0 ? "two" : "one", "a"));
            }
        }, Cancellation);

        while (!moving.IsCompleted)
        {
            Assert.Equal("active", (string?)(await _api.DoAsync("GET", "rules/r"))!["status"]);
        }

        await moving;
    }

    /// <summary>As servers of old left them: links of rules that were deleted, and of rules that went to another trigger.</summary>
    [Theory]
    [InlineData("PUT", "triggers/one?overwrite=true", "{}")]
    [InlineData("PUT", "rules/new", """{"trigger": "/_/one", "action": "/_/b"}""")]
    [InlineData("POST", "rules/kept", """{"status": "inactive"}""")]
    [InlineData("DELETE", "rules/kept", null)]
    public async Task A_link_that_was_left_behind_does_not_fire_is_not_shown_and_goes_with_the_next_write(string method, string path, string? body)
    {
        await _api.DoAsync("PUT", "rules/kept", Rule("one", "a"));
        await _api.DoAsync("PUT", "rules/moved", Rule("two", "a"));
        await _store.PutAsync(
            new ActionDocument { Name = Name("action"), Version = "0.0.1", UpdatedMs = 1, Exec = new ActionExec("nodejs:20") }, null, Cancellation);
        await LeaveLinksAsync("one", "acme/gone", "acme/moved", "acme/action");

        using var api = new TestApi(_store);

        Assert.Equal("acme/kept acme/a", Assert.Single(await api.FireAsync("one")));
        Assert.Equal("acme/kept", Assert.Single((await api.DoAsync("GET", "triggers/one"))!["rules"]!.AsObject()).Key);
        Assert.Equal(4, (await StoredLinksAsync("one")).Count);
        await api.DoAsync(method, path, body);
        Assert.DoesNotContain((await StoredLinksAsync("one")).Keys, link => link is not ("acme/kept" or "acme/new"));
    }

    [Fact]
    public async Task A_rule_made_anew_does_not_take_over_the_link_that_an_older_one_of_its_name_left_behind()
    {
        await LeaveLinksAsync("one", "acme/r");
        await _api.DoAsync("PUT", "rules/r", Rule("two", "b"));

        Assert.Empty(await FiredAsync("one"));
        await _api.DoAsync("PUT", "rules/r?overwrite=true", Rule("one", "b"));
        Assert.Equal("acme/r acme/b", Assert.Single(await FiredAsync("one")));
        Assert.Empty(await FiredAsync("two"));
    }

    /// <summary>The store here has no transactions, so that the order of the writes is all there is.</summary>
    [Theory]
    [MemberData(nameof(Changes))]
    public async Task A_change_that_the_end_of_the_process_broke_off_has_happened_or_has_not(string method, string path, string? body)
    {
        var before = await OutcomeAsync(new MemoryStore(), writes: 0, method, path, body);
        var after = await OutcomeAsync(new MemoryStore(), writes: int.MaxValue, method, path, body);
        Assert.False(string.Equals(before, after, StringComparison.Ordinal), before);
        for (var writes = 1; writes <= 3; writes++)
        {
            var store = new MemoryStore();
            Assert.Contains(await OutcomeAsync(store, writes, method, path, body), (string[])[before, after], StringComparer.Ordinal);

            using var api = new TestApi(store);
            await api.SendAsync(method, path, body);
            Assert.Equal(Without(after, "version"), Without(await ShowAsync(api), "version"));
        }
    }

    [Fact]
    public async Task A_package_that_is_deleted_by_force_goes_with_every_action_that_is_put_meanwhile()
    {
        for (var round = 0; round < 5; round++)
        {
            await _api.DoAsync("PUT", "packages/p", "{}");
            await AtOnceAsync(async i =>
            {
                if (i == Writers / 2)
                {
                    await _api.DoAsync("DELETE", "packages/p?force=true");
                }
                else
                {
                    var (status, _) = await _api.SendAsync("PUT", $"actions/p/a{i}?overwrite=true", Action);
                    Assert.Contains(status, (int[])[200, 404]);
                }
            });

            Assert.Equal(404, (await _api.SendAsync("GET", "packages/p")).Status);
            Assert.Empty(await _store.ListAsync(new EntityQuery(EntityKind.Action, "acme", "p"), Cancellation));
        }
    }

    private const string Action = """{"exec": {"kind": "nodejs:20", "code": "function main() { return {}; }"}}""";

    private static string Rule(string trigger, string action) => $$"""{"trigger": "/_/{{trigger}}", "action": "/_/{{action}}"}""";

    private static FullyQualifiedName Name(string name) => new("acme", null, name);

    private static Task AtOnceAsync(Func<int, Task> ask) =>
        Task.WhenAll(Enumerable.Range(0, Writers).Select(i => Task.Run(() => ask(i), Cancellation)));

    private static async Task PrepareAsync(TestApi api)
    {
        await api.DoAsync("PUT", "actions/a", Action);
        await api.DoAsync("PUT", "actions/b", Action);
        await api.DoAsync("PUT", "triggers/one", "{}");
        await api.DoAsync("PUT", "triggers/two", "{}");
    }

    private static async Task<string> OutcomeAsync(MemoryStore store, int writes, string method, string path, string? body)
    {
        using var api = new TestApi(store);
        await PrepareAsync(api);
        await api.DoAsync("PUT", "rules/r", Rule("one", "a"));
        store.WritesLeft = writes;
        await api.SendAsync(method, path, body);
        store.WritesLeft = int.MaxValue;
        using var next = new TestApi(store);
        return await ShowAsync(next);
    }

    /// <summary>All that clients see of rules and triggers, and what the triggers start.</summary>
    private static async Task<string> ShowAsync(TestApi api)
    {
        var shown = new JsonObject();
        foreach (var path in (string[])["rules/r", "rules/new", "triggers/one", "triggers/two"])
        {
            var (status, body) = await api.SendAsync("GET", path);
            body?.AsObject().Remove("updated");
            shown[path] = status == 200 ? body : status;
        }

        foreach (var trigger in (string[])["one", "two"])
        {
            var exists = (await api.SendAsync("GET", $"triggers/{trigger}")).Status == 200;
            shown[$"{trigger} starts"] = string.Join(", ", exists ? await api.FireAsync(trigger) : []);
        }

        return Without(shown.ToJsonString(), "code");
    }

    /// <summary>A trigger has <c>rules</c> once it had one, with or without some in it; that is no difference here.</summary>
    private static string Without(string shown, string member)
    {
        var json = JsonNode.Parse(shown)!.AsObject();
        foreach (var (_, value) in json)
        {
            if (value is JsonObject entity)
            {
                entity.Remove(member);
                if (entity["rules"] is JsonObject { Count: 0 })
                {
                    entity.Remove("rules");
                }
            }
        }

        return json.ToJsonString();
    }

    /// <summary>What a fire starts; and what is shown of the trigger, its rules and its document agrees with it.</summary>
    private async Task<string[]> FiredAsync(string trigger)
    {
        var shown = (await _api.DoAsync("GET", $"triggers/{trigger}"))!["rules"]?.AsObject() ?? [];
        var active = new List<string>();
        foreach (var (id, link) in shown)
        {
            var rule = (await _api.DoAsync("GET", $"rules/{id.Split('/')[1]}"))!;
            Assert.Equal((string?)rule["status"], (string?)link!["status"]);
            Assert.Equal(trigger, (string?)rule["trigger"]!["name"]);
            Assert.True(JsonNode.DeepEquals(rule["action"], link["action"]));
            if ((string?)rule["status"] is "active")
            {
                active.Add($"{id} acme/{(string?)rule["action"]!["name"]}");
            }
        }

        var fired = await _api.FireAsync(trigger);
        Assert.Equal(active.Order(StringComparer.Ordinal), fired, StringComparer.Ordinal);
        return fired;
    }

    private async Task<IReadOnlyDictionary<string, RuleLink>> StoredLinksAsync(string trigger) =>
        ((TriggerDocument)(await _store.GetAsync($"acme/{trigger}", Cancellation))!).Rules
        ?? new Dictionary<string, RuleLink>(StringComparer.Ordinal);

    private async Task LeaveLinksAsync(string trigger, params string[] rules)
    {
        var document = (TriggerDocument)(await _store.GetAsync($"acme/{trigger}", Cancellation))!;
        var links = new Dictionary<string, RuleLink>(document.Rules ?? new Dictionary<string, RuleLink>(StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (var rule in rules)
        {
            links[rule] = new RuleLink(Name("a"), Active: true);
        }

        Assert.NotNull(await _store.PutAsync(document with { Rules = links }, null, Cancellation));
    }
}
