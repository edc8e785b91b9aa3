using System.Buffers.Binary;
using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;
using Frusta.Store.Activations;
using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Store.Tests.Activations;

/// <summary>A list that shows no logs reads none, whatever size they have; and records from before heads told where the logs are stay readable.</summary>
public sealed class LargeLogsTests : ActivationStoreFixture
{
    private const int Records = 64;
    private const int LogsBytes = 256 << 10;
    private const int MostListedBytes = 1024;

    private static readonly ActivationQuery Summaries = new("acme", WithLogs: false);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_list_without_logs_reads_none_of_their_bytes(bool reopened)
    {
        var store = Open(Folder);
        var appended = Enumerable.Range(1, Records).Select(i => WithLogs(i, LogsBytes)).ToList();
        appended.ForEach(finished => Assert.True(store.Append(finished)));
        store = reopened ? await ReopenAsync(store) : store;

        var located = await store.LocateAsync(Summaries, Cancelled);

        Assert.Equal(Records, located.Count);
        Assert.InRange(located.Sum(location => (long)location.Bytes), 1, Records * MostListedBytes);
        var listed = await store.ListAsync(Summaries, Cancelled);
        Assert.Equal(appended.AsEnumerable().Reverse().Select(BeforeLogs), listed.Select(Encoding.UTF8.GetString), StringComparer.Ordinal);
        await AssertListedAsync(store, Summaries with { WithLogs = true }, appended);
    }

    [Fact]
    public async Task Small_records_are_listed_whole()
    {
        var store = Open(Folder);
        var appended = Append(store, 10);

        await AssertListedAsync(store, Summaries, appended);
    }

    [Fact]
    public async Task A_folder_from_before_is_opened_listed_and_added_to()
    {
        var old = Enumerable.Range(1, Records).Select(i => WithLogs(i, i % 2 == 0 ? LogsBytes : 10)).ToList();
        WriteOld(old);

        var store = Open(Folder);
        await AssertListedAsync(store, Summaries, old);
        var added = WithLogs(Records + 1, LogsBytes);
        Assert.True(store.Append(added));
        store = await ReopenAsync(store);

        await AssertListedAsync(store, Summaries with { WithLogs = true }, [.. old, added]);
        Assert.Equal(added.Record.Span.ToArray(), await store.GetAsync("acme", added.Id, Cancelled));
        Assert.Equal(old[0].Record.Span.ToArray(), await store.GetAsync("acme", old[0].Id, Cancelled));
        Assert.Equal(BeforeLogs(added), Encoding.UTF8.GetString((await store.ListAsync(Summaries with { Limit = 1 }, Cancelled))[0]));
    }

    [Fact]
    public async Task An_index_from_before_is_read_and_goes_on()
    {
        var store = Open(Folder);
        var appended = Append(store, 10);
        await CloseAsync(store);
        foreach (var index in Directory.GetFiles(Folder.Sub("index"), "*.index"))
        {
            await using var connection = new SqliteConnection($"Data Source={index};Pooling=False");
            await connection.OpenAsync(Cancelled);
            SqliteFile.Execute(connection, "PRAGMA user_version=1");
        }

        store = Open(Folder);
        appended.AddRange(Append(store, 10, first: 11));
        store = await ReopenAsync(store);

        await AssertListedAsync(store, new ActivationQuery("acme"), appended);
    }

    private static FinishedActivation WithLogs(int startOffset, int bytes)
    {
        var id = ActivationId.New(TimeProvider.System);
        var before = $$"""{"namespace":"acme","activationId":"{{id}}","start":{{Epoch + startOffset}},"logs":""";
        return new FinishedActivation
        {
            Id = id,
            Namespace = "acme",
            FilterName = "hello",
            StartMs = Epoch + startOffset,
            EndMs = Epoch + startOffset + 5,
            Status = ActivationStatus.Success,
            Record = PooledBuffer.Copy(Encoding.UTF8.GetBytes($$"""{{before}}["{{new string('x', bytes)}}"]}""")),
            LogsOffset = before.Length,
        };
    }

    private static string BeforeLogs(FinishedActivation finished) => Encoding.UTF8.GetString(finished.Record.Span[..finished.LogsOffset]);

    /// <summary>Entries as they were before: type 1, id, start, end, status, lengths of namespace and name, both names, the record.</summary>
    private void WriteOld(List<FinishedActivation> records)
    {
        var options = new SegmentedLogOptions { Folder = Folder.Sub("log"), SegmentBytes = 1 << 20, MaxEntryBytes = 1 << 20, MaxBytes = 1 << 30, Released = ReleasedSegments.Delete };
        using var log = SegmentedLog.Open(options, TimeProvider.System, NullLogger.Instance);
        foreach (var record in records)
        {
            var head = new byte[37];
            record.Id.WriteBytes(head);
            BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(16), record.StartMs);
            BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(24), record.EndMs);
            BinaryPrimitives.WriteUInt16LittleEndian(head.AsSpan(33), (ushort)record.Namespace.Length);
            BinaryPrimitives.WriteUInt16LittleEndian(head.AsSpan(35), (ushort)record.FilterName.Length);
            log.Append(1, [.. head, .. Encoding.UTF8.GetBytes(record.Namespace + record.FilterName)], record.Record.Span);
        }
    }
}
