using Frusta.Store.Entities;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;

namespace Frusta.Store.Tests.Entities;

public sealed class EntityWriterTests : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TestLog<EntityWriter> _said = new();
    private readonly SqliteConnection _connection;
    private readonly EntityWriter _writer;

    public EntityWriterTests()
    {
        _connection = SqliteFile.OpenWriter(_folder.Sub(SqliteEntityStore.FileName), EntitySchema.Steps, "FULL");
        _writer = new EntityWriter(_connection, new EntityStoreOptions(), TimeProvider.System, _said);
    }

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _writer.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_write_fails_whatever_went_wrong_and_the_next_one_is_written()
    {
        await _connection.CloseAsync();
        await Assert.ThrowsAsync<IOException>(() => WriteAsync("acme/a", new byte[100]));

        await _connection.OpenAsync(Cancelled);
        Assert.True(await WriteAsync("acme/a", new byte[100]));
    }

    [Fact]
    public async Task A_write_without_room_is_refused_whole_and_said_once_without_a_stack()
    {
        Assert.True(await WriteAsync("acme/a", new byte[100]));
        var pages = (long)SqliteFile.Scalar(_connection, "PRAGMA page_count")!;
        SqliteFile.Execute(_connection, $"PRAGMA max_page_count={pages + 3}");
        for (var i = 0; i < 3; i++)
        {
            await Assert.ThrowsAsync<StoreFullException>(() => WriteAsync("acme/b", new byte[100_000]));
        }

        Assert.Equal(1L, SqliteFile.Scalar(_connection, "SELECT COUNT(*) FROM documents"));
        Assert.Equal(1, _said.Count(4004));
        Assert.Equal(0, _said.CountExceptions());

        SqliteFile.Execute(_connection, $"PRAGMA max_page_count={pages + 1000}");
        Assert.True(await WriteAsync("acme/b", new byte[100_000]));
        Assert.Equal(1, _said.Count(4005));
    }

    [Fact]
    public async Task A_small_write_waits_for_no_whole_large_one()
    {
        var code = new byte[32 << 20];
        List<Task<bool>> large = [.. Enumerable.Range(0, 8).Select(i => WriteAsync($"acme/large{i}", [], code))];
        using var reader = SqliteFile.OpenReader(_folder.Sub(SqliteEntityStore.FileName), EntitySchema.Steps);
        await Eventually.TrueAsync(() => SqliteFile.Scalar(reader, "SELECT COUNT(*) FROM pieces") is not 0L);

        Assert.True(await WriteAsync("acme/small", new byte[100]));

        Assert.DoesNotContain(large, static write => write.IsCompleted);
        Assert.All(await Task.WhenAll(large), Assert.True);
    }

    [Fact]
    public async Task Of_a_large_write_that_comes_to_nothing_nothing_stays()
    {
        var code = new byte[32 << 20];
        List<Task<bool>> both = [WriteAsync("acme/a", [], code, "c1"), WriteAsync("acme/a", [], code, "c2")];

        bool[] written = await Task.WhenAll(both);
        Assert.Equal([true, false], written.AsEnumerable());
        Assert.True(await WriteAsync("acme/small", new byte[100]));

        Assert.Equal(8L, SqliteFile.Scalar(_connection, "SELECT COUNT(*) FROM pieces WHERE name = 'c1'"));
        Assert.Equal(0L, SqliteFile.Scalar(_connection, "SELECT COUNT(*) FROM pieces WHERE name = 'c2'"));
    }

    [Fact]
    public async Task A_large_write_without_room_is_refused_and_its_pieces_go_with_the_next_write()
    {
        Assert.True(await WriteAsync("acme/a", new byte[100]));
        var pages = (long)SqliteFile.Scalar(_connection, "PRAGMA page_count")!;
        SqliteFile.Execute(_connection, $"PRAGMA max_page_count={pages + 4000}");

        await Assert.ThrowsAsync<StoreFullException>(() => WriteAsync("acme/large", [], new byte[32 << 20]));
        Assert.NotEqual(0L, SqliteFile.Scalar(_connection, "SELECT COUNT(*) FROM pieces"));
        Assert.True(await WriteAsync("acme/b", new byte[100]));

        Assert.Equal(0L, SqliteFile.Scalar(_connection, "SELECT COUNT(*) FROM pieces"));
        Assert.True(await WriteAsync("acme/large", [], new byte[12 << 20]));
    }

    private Task<bool> WriteAsync(string documentId, byte[] body, byte[]? code = null, string attachment = "c1") => _writer
        .WriteAsync(new EntityWrite([new EntityRowChange(documentId, "", new EntityRow(0, "acme", null, documentId, 0, false, code is null ? null : attachment, "1-a", body), code)]), Cancelled)
        .WaitAsync(TimeSpan.FromMinutes(1), Cancelled);
}
