using System.Text;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Store.Entities;

namespace Frusta.Store.Tests.Entities;

/// <summary>What every entity store does, whatever keeps its documents. Each implementation derives its own tests from it.</summary>
public abstract class EntityStoreSuite : IAsyncLifetime
{
    private long _updated = 1_765_432_000_000;

    protected IEntityStore Store { get; private set; } = null!;

    protected static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => Store = await OpenAsync();

    public abstract ValueTask DisposeAsync();

    [Fact]
    public async Task A_document_is_read_back_as_it_was_written()
    {
        var written = Action("price", "orders") with { Annotations = [new KeyValue("provide-api-key", "false"u8.ToArray())] };
        var revision = await Store.PutAsync(written, null, Cancelled);

        var read = Assert.IsType<ActionDocument>(await Store.GetAsync("acme/orders/price", Cancelled));

        Assert.Equal(written.Name, read.Name);
        Assert.Equal(written.Version, read.Version);
        Assert.Equal(written.UpdatedMs, read.UpdatedMs);
        Assert.Equal(written.Limits, read.Limits);
        Assert.Equal(written.Exec, read.Exec);
        Assert.Equal(revision, read.Revision);
        Assert.Equal("provide-api-key", Assert.Single(read.Annotations).Key);
    }

    [Fact]
    public async Task Every_kind_of_entity_is_kept()
    {
        var binding = Package("bound") with { Binding = new FullyQualifiedName("zoe", null, "tools") };
        var trigger = Trigger("paid") with
        {
            Rules = new Dictionary<string, RuleLink>(StringComparer.Ordinal) { ["acme/onPaid"] = new(new FullyQualifiedName("acme", null, "bill"), Active: true) },
        };
        var rule = new RuleDocument
        {
            Name = new FullyQualifiedName("acme", null, "onPaid"),
            Version = "0.0.1",
            UpdatedMs = Next(),
            Trigger = trigger.Name,
            Action = new FullyQualifiedName("acme", null, "bill"),
        };
        foreach (var document in (EntityDocument[])[binding, trigger, rule])
        {
            Assert.NotNull(await Store.PutAsync(document, null, Cancelled));
        }

        Assert.Equal(binding.Binding, Assert.IsType<PackageDocument>(await Store.GetAsync("acme/bound", Cancelled)).Binding);
        Assert.True(Assert.IsType<TriggerDocument>(await Store.GetAsync("acme/paid", Cancelled)).Rules!["acme/onPaid"].Active);
        Assert.Equal(rule.Trigger, Assert.IsType<RuleDocument>(await Store.GetAsync("acme/onPaid", Cancelled)).Trigger);
    }

    [Fact]
    public async Task What_was_never_written_is_not_there()
    {
        Assert.Null(await Store.GetAsync("acme/none", Cancelled));
        Assert.Null(await Store.GetCodeAsync("acme/none", "code", Cancelled));
        Assert.False(await Store.DeleteAsync("acme/none", "1-00000000000000000000000000000000", Cancelled));
    }

    [Fact]
    public async Task Revisions_have_the_shape_of_CouchDB_and_count_up()
    {
        var first = await Store.PutAsync(Action("a"), null, Cancelled);
        var second = await Store.PutAsync(Action("a") with { Revision = first! }, null, Cancelled);

        Assert.Matches("^1-[0-9a-f]{32}$", first);
        Assert.Matches("^2-[0-9a-f]{32}$", second);
    }

    [Fact]
    public async Task Creating_what_exists_is_a_conflict_and_changes_nothing()
    {
        var first = await Store.PutAsync(Action("a"), null, Cancelled);

        Assert.Null(await Store.PutAsync(Action("a") with { Version = "9.9.9" }, "new"u8.ToArray(), Cancelled));
        var read = await Store.GetAsync("acme/a", Cancelled);
        Assert.Equal(first, read!.Revision);
        Assert.Equal("0.0.1", read.Version);
    }

    [Fact]
    public async Task Writing_over_an_old_revision_is_a_conflict()
    {
        var first = await Store.PutAsync(Action("a"), null, Cancelled);
        Assert.NotNull(await Store.PutAsync(Action("a") with { Revision = first! }, null, Cancelled));

        Assert.Null(await Store.PutAsync(Action("a") with { Revision = first! }, null, Cancelled));
        Assert.False(await Store.DeleteAsync("acme/a", first!, Cancelled));
        Assert.NotNull(await Store.GetAsync("acme/a", Cancelled));
    }

    [Fact]
    public async Task Writing_over_a_deleted_document_is_a_conflict_and_creating_it_again_is_not()
    {
        var first = await Store.PutAsync(Action("a"), null, Cancelled);
        Assert.True(await Store.DeleteAsync("acme/a", first!, Cancelled));

        Assert.Null(await Store.GetAsync("acme/a", Cancelled));
        Assert.Null(await Store.PutAsync(Action("a") with { Revision = first! }, null, Cancelled));
        Assert.NotNull(await Store.PutAsync(Action("a"), null, Cancelled));
    }

    [Fact]
    public async Task Of_many_writers_over_one_revision_one_wins()
    {
        var first = await Store.PutAsync(Trigger("t"), null, Cancelled);
        var writes = Enumerable.Range(0, 20).Select(i =>
            Store.PutAsync(Trigger("t") with { Revision = first!, Version = $"0.0.{i + 2}" }, null, Cancelled).AsTask());

        var revisions = await Task.WhenAll(writes);

        var won = Assert.Single(revisions, revision => revision is not null);
        Assert.Equal(won, (await Store.GetAsync("acme/t", Cancelled))!.Revision);
    }

    [Fact]
    public async Task Code_is_read_back_as_it_was_sent_and_stays_when_a_write_brings_none()
    {
        var code = Encoding.UTF8.GetBytes("function main() { return {text: 'Grüße'} }");
        var first = await Store.PutAsync(Action("a", code: "c1"), code, Cancelled);
        var second = await Store.PutAsync(Action("a", code: "c1") with { Revision = first! }, null, Cancelled);

        Assert.NotNull(second);
        Assert.Equal(code, await Store.GetCodeAsync("acme/a", "c1", Cancelled));
    }

    [Fact]
    public async Task New_code_comes_with_its_document_and_old_code_goes()
    {
        var first = await Store.PutAsync(Action("a", code: "c1"), "one"u8.ToArray(), Cancelled);
        var second = await Store.PutAsync(Action("a", code: "c2") with { Revision = first! }, "two"u8.ToArray(), Cancelled);
        await Store.PutAsync(Trigger("another"), null, Cancelled);

        Assert.NotNull(second);
        Assert.Equal("two"u8.ToArray(), await Store.GetCodeAsync("acme/a", "c2", Cancelled));
        Assert.Null(await Store.GetCodeAsync("acme/a", "c1", Cancelled));
    }

    [Fact]
    public async Task A_conflict_leaves_the_code_alone()
    {
        Assert.NotNull(await Store.PutAsync(Action("a", code: "c1"), "one"u8.ToArray(), Cancelled));
        Assert.Null(await Store.PutAsync(Action("a", code: "c2"), "two"u8.ToArray(), Cancelled));
        await Store.PutAsync(Trigger("another"), null, Cancelled);

        Assert.Equal("one"u8.ToArray(), await Store.GetCodeAsync("acme/a", "c1", Cancelled));
        Assert.Null(await Store.GetCodeAsync("acme/a", "c2", Cancelled));
    }

    [Fact]
    public async Task Deleting_takes_the_code_with_it()
    {
        var first = await Store.PutAsync(Action("a", code: "c1"), "one"u8.ToArray(), Cancelled);
        Assert.True(await Store.DeleteAsync("acme/a", first!, Cancelled));
        await Store.PutAsync(Trigger("another"), null, Cancelled);

        Assert.Null(await Store.GetCodeAsync("acme/a", "c1", Cancelled));
    }

    [Fact]
    public async Task Documents_that_change_together_are_put_and_deleted_together()
    {
        var old = Trigger("old") with { Revision = (await Store.PutAsync(Trigger("old"), null, Cancelled))! };

        Assert.True(await Store.WriteAsync(
            new EntityUnit([EntityChange.Put(Trigger("new")), EntityChange.Put(Action("a", code: "c1"), "one"u8.ToArray()), EntityChange.Delete(old)]), Cancelled));

        Assert.NotNull(await Store.GetAsync("acme/new", Cancelled));
        Assert.Equal("one"u8.ToArray(), await Store.GetCodeAsync("acme/a", "c1", Cancelled));
        Assert.Null(await Store.GetAsync("acme/old", Cancelled));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_unit_that_meets_another_writer_at_any_of_its_documents_changes_nothing(int met)
    {
        var one = Trigger("one") with { Revision = (await Store.PutAsync(Trigger("one"), null, Cancelled))! };
        var two = Trigger("two") with { Revision = (await Store.PutAsync(Trigger("two"), null, Cancelled))! };
        List<EntityChange> changes = [EntityChange.Put(one with { Version = "9.9.9" }), EntityChange.Put(Action("a", code: "c1"), "one"u8.ToArray()), EntityChange.Delete(two)];
        changes[met] = changes[met] with { ExpectedRevision = "1-x", Document = changes[met].Document is { } document ? document with { Revision = "1-x" } : null };

        Assert.False(await Store.WriteAsync(new EntityUnit(changes, Deciding: 2), Cancelled));

        Assert.Equal(one.Revision, (await Store.GetAsync("acme/one", Cancelled))!.Revision);
        Assert.Null(await Store.GetAsync("acme/a", Cancelled));
        Assert.Null(await Store.GetCodeAsync("acme/a", "c1", Cancelled));
        Assert.Equal(two.Revision, (await Store.GetAsync("acme/two", Cancelled))!.Revision);
        Assert.NotNull(await Store.PutAsync(one, null, Cancelled));
    }

    [Fact]
    public async Task A_unit_of_nothing_is_written_at_once() => Assert.True(await Store.WriteAsync(new EntityUnit([]), Cancelled));

    [Fact]
    public async Task Of_many_units_at_once_over_one_document_one_is_written_and_it_is_whole()
    {
        var first = Trigger("shared") with { Revision = (await Store.PutAsync(Trigger("shared"), null, Cancelled))! };

        var written = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Store.WriteAsync(
            new EntityUnit([EntityChange.Put(Trigger($"own{i}")), EntityChange.Put(first with { Version = $"1.0.{i}" })]), Cancelled).AsTask()));

        var winner = Assert.Single(Enumerable.Range(0, 50), i => written[i]);
        Assert.Equal($"1.0.{winner}", (await Store.GetAsync("acme/shared", Cancelled))!.Version);
        Assert.Equal([$"own{winner}", "shared"], (await NamesAsync(new EntityQuery(EntityKind.Trigger, "acme"))).Order(StringComparer.Ordinal), StringComparer.Ordinal);
    }

    [Fact]
    public async Task Lists_are_newest_first_and_then_by_id_descending()
    {
        var updated = Next();
        foreach (var name in (string[])["b", "a", "c"])
        {
            await Store.PutAsync(Action(name) with { UpdatedMs = updated }, null, Cancelled);
        }

        await Store.PutAsync(Action("old") with { UpdatedMs = updated - 1 }, null, Cancelled);
        await Store.PutAsync(Action("new") with { UpdatedMs = updated + 1 }, null, Cancelled);

        Assert.Equal(["new", "c", "b", "a", "old"], await NamesAsync(new EntityQuery(EntityKind.Action, "acme")));
        Assert.Equal(["c", "b"], await NamesAsync(new EntityQuery(EntityKind.Action, "acme", Skip: 1, Limit: 2)));
        Assert.Equal(5, await Store.CountAsync(new EntityQuery(EntityKind.Action, "acme", Skip: 1, Limit: 2), Cancelled));
    }

    [Fact]
    public async Task A_list_has_one_kind_of_one_namespace()
    {
        await Store.PutAsync(Action("a"), null, Cancelled);
        await Store.PutAsync(Trigger("t"), null, Cancelled);
        await Store.PutAsync(Action("x") with { Name = new FullyQualifiedName("acme2", null, "x") }, null, Cancelled);

        Assert.Equal(["a"], await NamesAsync(new EntityQuery(EntityKind.Action, "acme")));
        Assert.Equal(["t"], await NamesAsync(new EntityQuery(EntityKind.Trigger, "acme")));
        Assert.Equal(0, await Store.CountAsync(new EntityQuery(EntityKind.Rule, "acme"), Cancelled));
    }

    [Fact]
    public async Task The_actions_of_a_namespace_include_those_in_packages_and_a_package_lists_its_own()
    {
        await Store.PutAsync(Action("plain"), null, Cancelled);
        await Store.PutAsync(Action("one", "p"), null, Cancelled);
        await Store.PutAsync(Action("two", "q"), null, Cancelled);

        Assert.Equal(["two", "one", "plain"], await NamesAsync(new EntityQuery(EntityKind.Action, "acme")));
        Assert.Equal(["one"], await NamesAsync(new EntityQuery(EntityKind.Action, "acme", "p")));
        Assert.Equal(1, await Store.CountAsync(new EntityQuery(EntityKind.Action, "acme", "p"), Cancelled));
    }

    [Fact]
    public async Task Foreign_callers_see_published_packages_that_are_not_bindings()
    {
        await Store.PutAsync(Package("private"), null, Cancelled);
        await Store.PutAsync(Package("shared") with { Publish = true }, null, Cancelled);
        await Store.PutAsync(Package("bound") with { Publish = true, Binding = new FullyQualifiedName("zoe", null, "x") }, null, Cancelled);

        Assert.Equal(["shared"], await NamesAsync(new EntityQuery(EntityKind.Package, "acme", PublishedOnly: true)));
        Assert.Equal(1, await Store.CountAsync(new EntityQuery(EntityKind.Package, "acme", PublishedOnly: true), Cancelled));
        Assert.Equal(3, await Store.CountAsync(new EntityQuery(EntityKind.Package, "acme"), Cancelled));
    }

    /// <summary>Opens an empty store that keeps replaced code no longer than until the next write.</summary>
    protected abstract ValueTask<IEntityStore> OpenAsync();

    protected ActionDocument Action(string name, string? package = null, string? code = null) => new()
    {
        Name = new FullyQualifiedName("acme", package, name),
        Version = "0.0.1",
        UpdatedMs = Next(),
        Exec = new ActionExec("nodejs:20", CodeAttachment: code ?? "code"),
    };

    protected TriggerDocument Trigger(string name) =>
        new() { Name = new FullyQualifiedName("acme", null, name), Version = "0.0.1", UpdatedMs = Next() };

    private PackageDocument Package(string name) =>
        new() { Name = new FullyQualifiedName("acme", null, name), Version = "0.0.1", UpdatedMs = Next() };

    private long Next() => ++_updated;

    private async Task<string[]> NamesAsync(EntityQuery query) =>
        [.. (await Store.ListDocumentsAsync(query, Cancelled)).Select(document => document.Name.Name)];
}
