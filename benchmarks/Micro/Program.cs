using System.Text.Json;
using Frusta.Micro;

// Bytes that each part of the hot path allocates for one call, against what benchmarks/Micro/allocated-bytes.json allows.
// With --update it prints the file anew, with a tenth of room.
const int Calls = 4000;
var update = args.Contains("--update", StringComparer.Ordinal);
var allowed = new Dictionary<string, long>(StringComparer.Ordinal);
using (var file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "allocated-bytes.json"))))
{
    foreach (var entry in file.RootElement.EnumerateObject())
    {
        allowed[entry.Name] = entry.Value.GetInt64();
    }
}

var exceeded = 0;
var measured = new List<string>();
await using var path = new HotPath();
Console.WriteLine($"{"part",-32} {"bytes",8} {"allowed",8}");
foreach (var (name, call) in path.Parts)
{
    for (var i = 0; i < Calls; i++)
    {
        call();
    }

    var before = GC.GetAllocatedBytesForCurrentThread();
    for (var i = 0; i < Calls; i++)
    {
        call();
    }

    var bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / Calls;
    var limit = allowed.GetValueOrDefault(name, -1);
    exceeded += bytes > limit ? 1 : 0;
    measured.Add($"  \"{name}\": {bytes + Math.Max(16, bytes / 10)}");
    Console.WriteLine($"{name,-32} {bytes,8} {limit,8}{(bytes > limit ? "  exceeded" : "")}");
}

if (update)
{
    Console.WriteLine($"{{\n{string.Join(",\n", measured)}\n}}");
    return 0;
}

return exceeded == 0 ? 0 : 1;
