using Frusta.Store.Entities;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Store.Tests.Entities;

public sealed class EntityWriterTests : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly SqliteConnection _connection;
    private readonly EntityWriter _writer;

    public EntityWriterTests()
    {
        _connection = SqliteFile.OpenWriter(_folder.File(SqliteEntityStore.FileName), EntitySchema.Version, EntitySchema.Create, "FULL");
        _writer = new EntityWriter(_connection, new EntityStoreOptions(), NullLogger.Instance);
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

    private Task<bool> WriteAsync(string documentId, byte[] body) => _writer
        .WriteAsync(new EntityWrite(documentId, "", new EntityRow(0, "acme", null, documentId, 0, false, null, "1-a", body), null), Cancelled)
        .WaitAsync(TimeSpan.FromSeconds(10), Cancelled);
}
