using System.Collections;
using System.Collections.Concurrent;
using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Api;
using Frusta.Store.Entities;

namespace Frusta.Controller.Tests.Api;

/// <summary>Entities with large parameters: whoever asks for them, however little he sends, no event loop walks them.</summary>
public sealed class LargeEntityTests
{
    public static TheoryData<string, string, string?> Requests => new()
    {
        { "GET", "actions/a?code=false", null },
        { "PUT", "actions/a?overwrite=true", """{"limits": {"timeout": 1000}}""" },
        { "DELETE", "actions/a", null },
        { "GET", "packages/p", null },
        { "PUT", "packages/p?overwrite=true", "{}" },
        { "DELETE", "packages/p", null },
        { "GET", "triggers/t", null },
        { "PUT", "triggers/t?overwrite=true", "{}" },
        { "DELETE", "triggers/t", null },
        { "POST", "rules/r", """{"status": "inactive"}""" },
        { "DELETE", "rules/r", null },
    };

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task Whoever_walks_large_parameters_is_one_of_the_threads_for_large_things(string method, string path, string? body)
    {
        var store = new NotingStore(values: 20_000);
        using var api = new TestApi(store);

        var (status, _) = await api.SendAsync(method, path, body);

        Assert.Equal(200, status);
        Assert.NotEmpty(store.Walked);
        Assert.All(store.Walked, static name => Assert.StartsWith("large bodies", name, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task Small_ones_are_walked_where_they_were_asked_for(string method, string path, string? body)
    {
        var store = new NotingStore(values: 2);
        using var api = new TestApi(store);

        var (status, _) = await api.SendAsync(method, path, body);

        Assert.Equal(200, status);
        Assert.DoesNotContain(store.Walked, static name => name.StartsWith("large bodies", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_trigger_with_large_parameters_is_fired_by_one_of_the_threads_for_large_things()
    {
        var store = new NotingStore(values: 20_000);
        using var api = new TestApi(store);

        await api.FireAsync("t");

        Assert.NotEmpty(store.Walked);
        Assert.All(store.Walked, static name => Assert.StartsWith("large bodies", name, StringComparison.Ordinal));
    }

    /// <summary>A trigger that there is no thread for is not taken for one that is gone.</summary>
    [Theory]
    [InlineData("GET", null)]
    [InlineData("PUT", "{}")]
    [InlineData("POST", """{"status": "inactive"}""")]
    [InlineData("DELETE", null)]
    public async Task Where_too_many_have_large_things_before_them_a_rule_is_refused_and_stays_as_it_was(string method, string? body)
    {
        var store = new NotingStore(values: 20_000);
        using var api = new TestApi(store, new ControllerOptions { LargeJson = new LargeJsonOptions { MaxWaiting = 4 } }); // one of each namespace
        var disk = store.Hold();
        var waiting = api.SendAsync("PUT", "packages/p?overwrite=true", "{}");
        await store.Held.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);

        var (refused, _) = await api.SendAsync(method, "rules/r?overwrite=true", body);
        Assert.Equal((503, 0), (refused, store.Written));

        disk.SetResult();
        Assert.Equal(200, (await waiting).Status);
        Assert.Equal(200, (await api.SendAsync(method, "rules/r?overwrite=true", body)).Status);
    }

    [Theory]
    [InlineData("""{"version": "1.2.3.4.5.6"}""", 200, "1.2.3")]
    [InlineData("""{"version": "LONG"}""", 400, null)]
    [InlineData("""{"parameters": [{"key": "a", "value": 1, "init": true, "encryption": "LONG"}]}""", 413, null)]
    public async Task Text_that_nothing_else_bounds_has_a_bound(string body, int status, string? version)
    {
        using var api = new TestApi(new NotingStore(values: 2));
        var (found, answer) = await api.SendAsync("PUT", "packages/new", body.Replace("LONG", string.Join('.', Enumerable.Repeat('1', 2 << 20)), StringComparison.Ordinal));

        Assert.Equal((status, version), (found, (string?)answer?["version"]));
    }

    [Fact]
    public void A_version_of_millions_of_parts_is_read_without_making_them()
    {
        var text = string.Join('.', Enumerable.Repeat('1', 1_000_000));
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Equal("1.1.1", SemanticVersion.Parse(text));

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 10_000);
    }

    /// <summary>Has one action, package, trigger and rule, and notes which threads walk their parameters.</summary>
    private sealed class NotingStore(int values) : RefusingEntityStore
    {
        private readonly FullyQualifiedName _trigger = new("acme", null, "t");
        private readonly FullyQualifiedName _action = new("acme", null, "a");

        private readonly TaskCompletionSource _held = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private TaskCompletionSource? _disk;

        public ConcurrentQueue<string> Walked { get; } = new();

        /// <summary>Units that were written.</summary>
        public int Written { get; private set; }

        /// <summary>Ends when a put waits.</summary>
        public Task Held => _held.Task;

        /// <summary>Has puts wait.</summary>
        public TaskCompletionSource Hold() => _disk = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken) => new(documentId switch
        {
            "acme/a" => new ActionDocument { Name = _action, Version = "0.0.1", UpdatedMs = 1, Revision = "1-a", Exec = new ActionExec("nodejs:20"), Parameters = Parameters() },
            "acme/p" => new PackageDocument { Name = new("acme", null, "p"), Version = "0.0.1", UpdatedMs = 1, Revision = "1-a", Parameters = Parameters() },
            "acme/t" => new TriggerDocument
            {
                Name = _trigger,
                Version = "0.0.1",
                UpdatedMs = 1,
                Revision = "1-a",
                Parameters = Parameters(),
                Rules = new Dictionary<string, RuleLink>(StringComparer.Ordinal) { ["acme/r"] = new(_action, Active: true) },
            },
            "acme/r" => new RuleDocument { Name = new("acme", null, "r"), Version = "0.0.1", UpdatedMs = 1, Revision = "1-a", Trigger = _trigger, Action = _action },
            _ => (EntityDocument?)null,
        });

        public override async ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken)
        {
            Walk(document);
            _held.TrySetResult();
            await (_disk?.Task ?? Task.CompletedTask);
            return "2-a";
        }

        public override ValueTask<bool> DeleteAsync(string documentId, string revision, CancellationToken cancellationToken) => new(true);

        public ValueTask<bool> WriteAsync(EntityUnit unit, CancellationToken cancellationToken)
        {
            Written++;
            foreach (var change in unit.Changes)
            {
                Walk(change.Document);
            }

            return new(true);
        }

        public override ValueTask<IReadOnlyList<ListedEntity>> ListAsync(EntityQuery query, CancellationToken cancellationToken) => new([]);

        public override ValueTask<IReadOnlyList<EntityDocument>> GetSummariesAsync(IReadOnlyList<ListedEntity> page, CancellationToken cancellationToken) => new([]);

        public override ValueTask<int> CountAsync(EntityQuery query, CancellationToken cancellationToken) => new(0);

        public override ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken) => new((byte[]?)null);

        public override ValueTask<MappedBuffer?> ReadCodeAsync(string documentId, string attachment, ByteLease lease, CancellationToken cancellationToken) => new((MappedBuffer?)null);

        private NotedList Parameters() =>
            new([.. Enumerable.Range(0, values).Select(static i => new KeyValue($"key{i}", Encoding.UTF8.GetBytes($"{i}")))], Walked);

        /// <summary>As a store does that writes them.</summary>
        private static void Walk(EntityDocument? document)
        {
            var parameters = document switch
            {
                ActionDocument action => action.Parameters,
                PackageDocument package => package.Parameters,
                TriggerDocument trigger => trigger.Parameters,
                _ => [],
            };
            _ = parameters.Count(static parameter => parameter.IsNull);
        }
    }

    /// <summary>Notes who walks it, but for its size, which is asked to know where to.</summary>
    private sealed class NotedList(KeyValue[] values, ConcurrentQueue<string> walked) : IReadOnlyList<KeyValue>
    {
        public int Count => values.Length;

        public KeyValue this[int index] => values[index];

        public IEnumerator<KeyValue> GetEnumerator()
        {
            if (!Environment.StackTrace.Contains("get_SizeBytes", StringComparison.Ordinal))
            {
                walked.Enqueue(Thread.CurrentThread.Name ?? "");
            }

            return ((IEnumerable<KeyValue>)values).GetEnumerator();
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
