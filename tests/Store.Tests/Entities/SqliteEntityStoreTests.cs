using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Store.Entities;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Frusta.Store.Tests.Entities;

public sealed class SqliteEntityStoreTests : EntityStoreSuite
{
    private readonly TemporaryFolder _folder = new();

    public override async ValueTask DisposeAsync()
    {
        await ((SqliteEntityStore)Store).DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_write_that_was_answered_is_there_after_a_kill()
    {
        var revision = await Store.PutAsync(Action("a", code: "c1"), "one"u8.ToArray(), Cancelled);

        using var left = _folder.CopyAsIfKilled();
        await using var reopened = Open(left);

        Assert.Equal(revision, (await reopened.GetAsync("acme/a", Cancelled))!.Revision);
        Assert.Equal("one"u8.ToArray(), await reopened.GetCodeAsync("acme/a", "c1", Cancelled));
    }

    [Fact]
    public async Task Code_that_a_kill_left_behind_is_swept_at_the_next_start()
    {
        var first = await Store.PutAsync(Action("a", code: "c1"), "one"u8.ToArray(), Cancelled);
        await Store.PutAsync(Action("a", code: "c2") with { Revision = first! }, "two"u8.ToArray(), Cancelled);

        using var left = _folder.CopyAsIfKilled();
        await using var reopened = Open(left);

        Assert.Null(await reopened.GetCodeAsync("acme/a", "c1", Cancelled));
        Assert.Equal("two"u8.ToArray(), await reopened.GetCodeAsync("acme/a", "c2", Cancelled));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Code_that_was_replaced_or_deleted_can_be_read_until_its_time_is_over(bool deleted)
    {
        using var folder = new TemporaryFolder();
        var clock = new FakeTimeProvider();
        await using var store = Open(folder, new EntityStoreOptions { ReplacedCodeAge = TimeSpan.FromMinutes(10) }, clock);
        var first = await store.PutAsync(Action("a", code: "c1"), "one"u8.ToArray(), Cancelled);
        if (deleted)
        {
            Assert.True(await store.DeleteAsync("acme/a", first!, Cancelled));
        }
        else
        {
            Assert.NotNull(await store.PutAsync(Action("a", code: "c2") with { Revision = first! }, "two"u8.ToArray(), Cancelled));
        }

        clock.Advance(TimeSpan.FromMinutes(9));
        await store.PutAsync(Trigger("one"), null, Cancelled);
        Assert.Equal("one"u8.ToArray(), await store.GetCodeAsync("acme/a", "c1", Cancelled));
        clock.Advance(TimeSpan.FromMinutes(2));
        await store.PutAsync(Trigger("two"), null, Cancelled);

        Assert.Null(await store.GetCodeAsync("acme/a", "c1", Cancelled));
    }

    [Fact]
    public async Task Of_replaced_code_the_oldest_goes_where_all_of_it_is_more_than_is_kept()
    {
        using var folder = new TemporaryFolder();
        await using var store = Open(folder, new EntityStoreOptions { ReplacedCodeBytes = 10_000 }, TimeProvider.System);
        var revision = "";
        for (var i = 0; i < 5; i++)
        {
            revision = (await store.PutAsync(Action("a", code: $"c{i}") with { Revision = revision }, new byte[4_500], Cancelled))!;
        }

        await store.PutAsync(Trigger("t"), null, Cancelled);

        var kept = await Task.WhenAll(Enumerable.Range(0, 5).Select(async i => await store.GetCodeAsync("acme/a", $"c{i}", Cancelled) is not null));
        Assert.Equal([false, false, true, true, true], kept);
    }

    [Fact]
    public async Task Code_that_an_action_names_again_stays()
    {
        var first = await Store.PutAsync(Action("a", code: "c1"), "one"u8.ToArray(), Cancelled);
        var second = await Store.PutAsync(Action("a", code: "c2") with { Revision = first! }, "two"u8.ToArray(), Cancelled);
        await Store.PutAsync(Action("a", code: "c1") with { Revision = second! }, "three"u8.ToArray(), Cancelled);
        await Store.PutAsync(Trigger("t"), null, Cancelled);

        Assert.Equal("three"u8.ToArray(), await Store.GetCodeAsync("acme/a", "c1", Cancelled));
    }

    [Theory]
    [InlineData(CodePiece.MostBytes)]
    [InlineData(CodePiece.MostBytes + 1)]
    [InlineData((3 * CodePiece.MostBytes) + 12_345)]
    public async Task Code_of_any_length_is_read_as_it_was_written_also_under_a_name_that_had_other_code(int length)
    {
        var revision = "";
        foreach (var bytes in (int[])[length, length - 1000, 17, length + CodePiece.MostBytes])
        {
            var code = new byte[bytes];
            Random.Shared.NextBytes(code);
            revision = await Store.PutAsync(Action("a", code: "c1") with { Revision = revision! }, code, Cancelled);

            var stored = await Store.GetCodeAsync("acme/a", "c1", Cancelled);
            Assert.True(code.AsSpan().SequenceEqual(stored));
            using var lease = new ByteBudget(new ByteBudgetOptions { MaxBytes = 1L << 30, MaxSmallBytes = 1 }).Of("acme").Begin();
            using var mapped = await Store.ReadCodeAsync("acme/a", "c1", lease, Cancelled);
            Assert.True(code.AsSpan().SequenceEqual(mapped!.GetSpan()));
            Assert.Equal(bytes, lease.Bytes);
        }
    }

    [Fact]
    public async Task Long_code_that_was_deleted_or_that_a_kill_left_half_written_is_nowhere_any_more()
    {
        var long1 = new byte[3 * CodePiece.MostBytes];
        var revision = await Store.PutAsync(Action("a", code: "c1"), long1, Cancelled);
        await Store.PutAsync(Action("b", code: "c1"), long1, Cancelled);
        Assert.True(await Store.DeleteAsync("acme/a", revision!, Cancelled));
        await Store.PutAsync(Trigger("t"), null, Cancelled);
        Assert.Equal(3L, Ask("SELECT COUNT(*) FROM pieces"));
        Spoil("INSERT INTO pieces VALUES ('acme/b', 'c2', 0, x'00'), ('acme/new', 'c1', 0, x'00')");

        using var left = _folder.CopyAsIfKilled();
        await using var reopened = Open(left);

        Assert.Equal(3L, Ask("SELECT COUNT(*) FROM pieces", left));
        Assert.Equal(long1, await reopened.GetCodeAsync("acme/b", "c1", Cancelled));
    }

    [Fact]
    public async Task A_file_of_the_first_version_is_read_and_written()
    {
        using var folder = new TemporaryFolder();
        using (var connection = SqliteFile.OpenWriter(folder.Sub(SqliteEntityStore.FileName), EntitySchema.Steps[..1], "FULL"))
        {
            SqliteFile.Execute(connection, "INSERT INTO attachments (document, name, body) VALUES ('acme/a', 'c1', zeroblob(9000000))");
            SqliteFile.Execute(connection, "INSERT INTO documents VALUES ('acme/a', 0, 'acme', NULL, 'a', 1, 0, 'c1', '1-a', '{}')");
        }

        await using var store = Open(folder);
        Assert.Equal(9_000_000, (await store.GetCodeAsync("acme/a", "c1", Cancelled))!.Length);
        Assert.NotNull(await store.PutAsync(Action("a", code: "c2") with { Revision = "1-a" }, new byte[10_000_000], Cancelled));
        await store.PutAsync(Trigger("t"), null, Cancelled);

        Assert.Null(await store.GetCodeAsync("acme/a", "c1", Cancelled));
        Assert.Equal(10_000_000, (await store.GetCodeAsync("acme/a", "c2", Cancelled))!.Length);
    }

    [Fact]
    public void A_newer_schema_is_refused_in_words()
    {
        using var folder = new TemporaryFolder();
        using (var connection = SqliteFile.OpenWriter(folder.Sub(SqliteEntityStore.FileName), EntitySchema.Steps, "FULL"))
        {
            SqliteFile.Execute(connection, "PRAGMA user_version=99");
        }

        var refused = Assert.Throws<StoreFormatException>(() => Open(folder));

        Assert.Contains("schema version 99", refused.Message, StringComparison.Ordinal);
        Assert.Contains(SqliteEntityStore.FileName, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_document_that_cannot_be_decoded_is_corrupt_alone_and_left_out_of_lists()
    {
        await Store.PutAsync(Trigger("good"), null, Cancelled);
        await Store.PutAsync(Trigger("bad"), null, Cancelled);
        Spoil("UPDATE documents SET body = CAST('{\"broken' AS BLOB) WHERE id = 'acme/bad'");

        await Assert.ThrowsAsync<CorruptEntityException>(() => Store.GetAsync("acme/bad", Cancelled).AsTask());
        var listed = await Store.ListDocumentsAsync(new EntityQuery(EntityKind.Trigger, "acme"), Cancelled);
        Assert.Equal("good", Assert.Single(listed).Name.Name);
    }

    [Fact]
    public async Task A_list_has_what_it_had_when_it_was_made_without_what_is_gone_meanwhile_and_without_parameters()
    {
        var large = new KeyValue("large", System.Text.Encoding.UTF8.GetBytes($"\"{new string('x', 100_000)}\""));
        foreach (var name in (string[])["first", "second", "third"])
        {
            await Store.PutAsync(Trigger(name) with { Parameters = [large], Annotations = [new KeyValue("note", "1"u8.ToArray())] }, null, Cancelled);
        }

        var listed = await Store.ListAsync(new EntityQuery(EntityKind.Trigger, "acme"), Cancelled);
        await Store.DeleteAsync("acme/second", listed[1].Revision, Cancelled);
        await Store.PutAsync(Trigger("fourth"), null, Cancelled);
        var read = await Store.GetSummariesAsync(listed, Cancelled);

        Assert.All(listed, static one => Assert.InRange(one.Bytes, 100_000, 101_000));
        Assert.Equal("third, first", string.Join(", ", read.Select(static document => document.Name.Name)));
        Assert.All(read, static document => Assert.Empty(((TriggerDocument)document).Parameters));
        Assert.All(read, static document => Assert.Equal("note", Assert.Single(document.Annotations).Key));
    }

    [Fact]
    public async Task Code_is_read_for_an_answer_only_where_its_lease_has_room()
    {
        await Store.PutAsync(Action("a", code: "c1"), new byte[200_000], Cancelled);
        var budget = new ByteBudget(new ByteBudgetOptions { MaxBytes = 1_000_000, MaxSmallBytes = 1 });
        using var lease = budget.Of("acme").Begin();
        using var code = await Store.ReadCodeAsync("acme/a", "c1", lease, Cancelled);

        Assert.Equal(200_000, code!.Length);
        Assert.Equal(200_000, budget.HeldBytes);
        using var second = budget.Of("acme").Begin();
        await Assert.ThrowsAsync<StoreOverloadedException>(() => Store.ReadCodeAsync("acme/a", "c1", second, Cancelled).AsTask());
        Assert.Null(await Store.ReadCodeAsync("acme/a", "none", second, Cancelled));
    }

    [Fact]
    public async Task A_list_touches_no_code()
    {
        await Store.PutAsync(Action("a", code: "c1"), new byte[1024], Cancelled);
        Spoil("ALTER TABLE attachments RENAME TO elsewhere");

        Assert.Single(await Store.ListDocumentsAsync(new EntityQuery(EntityKind.Action, "acme"), Cancelled));
        Spoil("ALTER TABLE elsewhere RENAME TO attachments");
    }

    [Fact]
    public async Task A_large_write_that_does_not_fit_is_refused_and_keeps_no_small_one_out()
    {
        using var folder = new TemporaryFolder();
        await using var store = SqliteEntityStore.Open(
            folder.Path, new EntityStoreOptions { QueuedBytes = 100_000 }, TimeProvider.System, NullLogger<SqliteEntityStore>.Instance);

        await Assert.ThrowsAsync<StoreOverloadedException>(() => store.PutAsync(Action("a", code: "c"), new byte[200_000], Cancelled).AsTask());
        Assert.Null(await store.GetAsync("acme/a", Cancelled));
        Assert.NotNull(await store.PutAsync(Action("a", code: "c"), new byte[2000], Cancelled));
    }

    [Fact]
    public async Task Many_writes_at_once_share_commits_and_all_are_kept()
    {
        var writes = Enumerable.Range(0, 200).Select(i => Store.PutAsync(Trigger($"t{i}"), null, Cancelled).AsTask());

        Assert.DoesNotContain(await Task.WhenAll(writes), revision => revision is null);
        Assert.Equal(200, await Store.CountAsync(new EntityQuery(EntityKind.Trigger, "acme"), Cancelled));
    }

    [Fact]
    public async Task A_full_disk_refuses_writes_whole_and_takes_them_again()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "mounting a small disk needs root");
        using var folder = new TemporaryFolder();
        var disk = Directory.CreateDirectory(folder.Sub("disk")).FullName;
        Assert.SkipUnless(await RunAsync("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk) == 0, "this host does not let us mount");
        try
        {
            var ballast = Path.Combine(disk, "ballast");
            await File.WriteAllBytesAsync(ballast, new byte[512 * 1024], Cancelled);
            await using var store = SqliteEntityStore.Open(disk, new EntityStoreOptions(), TimeProvider.System, NullLogger<SqliteEntityStore>.Instance);
            var written = 0;
            try
            {
                for (; ; written++)
                {
                    Assert.NotNull(await store.PutAsync(Action($"a{written}", code: "c"), new byte[100_000], Cancelled));
                }
            }
            catch (StoreFullException)
            {
                Assert.InRange(written, 1, 20);
            }

            Assert.Null(await store.GetAsync($"acme/a{written}", Cancelled));
            Assert.Equal(written, await store.CountAsync(new EntityQuery(EntityKind.Action, "acme"), Cancelled));
            File.Delete(ballast);
            Assert.NotNull(await store.PutAsync(Action($"a{written}", code: "c"), new byte[100_000], Cancelled));
        }
        finally
        {
            await RunAsync("umount", disk);
        }
    }

    protected override ValueTask<IEntityStore> OpenAsync() => ValueTask.FromResult<IEntityStore>(Open(_folder));

    private static SqliteEntityStore Open(TemporaryFolder folder) =>
        Open(folder, new EntityStoreOptions { ReplacedCodeAge = TimeSpan.Zero }, TimeProvider.System);

    private static SqliteEntityStore Open(TemporaryFolder folder, EntityStoreOptions options, TimeProvider clock) =>
        SqliteEntityStore.Open(folder.Path, options, clock, NullLogger<SqliteEntityStore>.Instance);

    private static async Task<int> RunAsync(string program, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(program, arguments);
        await process.WaitForExitAsync(Cancelled);
        return process.ExitCode;
    }

    private void Spoil(string statement) => Ask(statement);

    private object? Ask(string statement, TemporaryFolder? folder = null)
    {
        using var connection = new SqliteConnection($"Data Source={(folder ?? _folder).Sub(SqliteEntityStore.FileName)};Pooling=False");
        connection.Open();
        return SqliteFile.Scalar(connection, statement);
    }
}
