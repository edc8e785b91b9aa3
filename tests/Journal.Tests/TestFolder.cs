using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Journal.Tests;

/// <summary>A folder of one test, gone afterwards.</summary>
internal sealed class TestFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    internal string Path => _folder.Path;

    internal SegmentedLogOptions Options => new() { Folder = _folder.Sub("log"), SegmentBytes = 64 * 1024 };

    internal SegmentedLog Open(SegmentedLogOptions? options = null) =>
        SegmentedLog.Open(options ?? Options, TimeProvider.System, NullLogger.Instance);

    internal string Segment(long number) => _folder.Sub($"log/{number:D16}.seg");

    public void Dispose() => _folder.Dispose();

    internal static List<string> ReadAll(SegmentedLog log, LogPosition after = default)
    {
        var all = new List<string>();
        using var reader = log.ReadAfter(after);
        foreach (var entry in reader)
        {
            all.Add($"{entry.Type}:{System.Text.Encoding.UTF8.GetString(entry.Payload)}");
        }

        return all;
    }
}
