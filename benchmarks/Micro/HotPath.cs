using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Contracts.Parameters;
using Frusta.Journal;
using Frusta.Store;
using Frusta.Store.Activations;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Micro;

/// <summary>The parts of the hot path, each as one call on inputs as clients send them.</summary>
internal sealed class HotPath : IAsyncDisposable
{
    private static readonly byte[] Body = [.. """{ "name": "Ada", "amount": 12.50, "tags": ["a", "b"], "nested": {"deep": [1, 2, {"x": null}]} }"""u8];
    private static readonly byte[] Result = [.. """{"greeting":"hello Ada","amount":12.50,"tags":["a","b"]}"""u8];
    private static readonly FullyQualifiedName Action = new("guest", null, "hello");
    private static readonly ActionLimits Limits = new();

    private readonly ParameterLayer _bound = ParameterLayer.Merge(
    [
        new KeyValue("currency", "\"EUR\""u8.ToArray()),
        new KeyValue("amount", "1"u8.ToArray()),
        new KeyValue("limit", "100"u8.ToArray()),
    ]);

    private readonly string _folder = Directory.CreateTempSubdirectory("frusta-micro-").FullName;
    private readonly SegmentedLog _log;
    private readonly ActivationStore _store;

    public HotPath()
    {
        _log = SegmentedLog.Open(new SegmentedLogOptions { Folder = Path.Combine(_folder, "log") }, TimeProvider.System, NullLogger.Instance);
        _store = ActivationStore.Open(
            Path.Combine(_folder, "activations"), new ActivationStoreOptions { RecentIds = 65_536 }, TimeProvider.System, NullLogger<ActivationStore>.Instance);
    }

    /// <summary>What is measured, by the name that the file of allowed bytes has for it.</summary>
    public IEnumerable<(string Name, Action Call)> Parts =>
    [
        ("merge of a body", () => Merge(ParameterLayer.Empty)),
        ("merge with bound parameters", () => Merge(_bound)),
        ("reading a result", ReadResult),
        ("writing a record", () => WriteRecord().Record.Dispose()),
        ("appending to the journal", () => _log.Append(1, Body, Result)),
        ("writing and storing a record", StoreRecord),
    ];

    public async ValueTask DisposeAsync()
    {
        _log.Dispose();
        await _store.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static void Merge(ParameterLayer bound)
    {
        using var merged = PooledBuffer.Rent(512);
        if (MergeArguments.Merge(Body, bound, refuseFinal: false, merged) != MergeOutcome.Merged)
        {
            throw new InvalidOperationException("The body was not merged.");
        }
    }

    private static void ReadResult()
    {
        using var read = PooledBuffer.Rent(512);
        if (ResultJson.Read(Result, read) != JsonVerdict.Object)
        {
            throw new InvalidOperationException("The result was not read as an object.");
        }
    }

    private static FinishedActivation WriteRecord()
    {
        var record = new ActivationRecord
        {
            Id = ActivationId.New(TimeProvider.System),
            Namespace = "guest",
            Name = "hello",
            Version = "0.0.1",
            Subject = "guest",
            StartMs = 1_765_432_100_123,
            EndMs = 1_765_432_100_125,
            Status = ActivationStatus.Success,
            Result = Result,
            ResponseSize = Result.Length,
            Action = Action,
            Kind = "nodejs:20",
            Limits = Limits,
            TimedOut = false,
            WaitMs = 1,
        };
        return ActivationRecordWriter.Finish(record, "hello");
    }

    private void StoreRecord()
    {
        var finished = WriteRecord();
        _store.Append(finished);
        finished.Record.Dispose();
    }
}
