using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Journal.Tests;

/// <summary>A folder of one test, gone afterwards.</summary>
internal sealed class TestFolder : IDisposable
{
    internal string Path { get; } = Directory.CreateTempSubdirectory("frusta-journal-").FullName;

    internal SegmentedLogOptions Options => new() { Folder = System.IO.Path.Combine(Path, "log"), SegmentBytes = 64 * 1024 };

    internal SegmentedLog Open(SegmentedLogOptions? options = null) =>
        SegmentedLog.Open(options ?? Options, TimeProvider.System, NullLogger.Instance);

    internal string Segment(long number) => System.IO.Path.Combine(Path, "log", $"{number:D16}.seg");

    public void Dispose() => Directory.Delete(Path, recursive: true);

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
