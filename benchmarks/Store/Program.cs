using System.Globalization;
using Frusta.Store.Benchmarks;

// Index over the log against whole rows in SQLite, with the same records: docs/decisions/0001-activation-index.md.
// dotnet run -c Release --project benchmarks/Store -- [--records N] [--folder F]
var records = 100_000;
var folder = Path.Combine(Path.GetTempPath(), $"frusta-bench-{Environment.ProcessId}");
for (var i = 0; i + 1 < args.Length; i += 2)
{
    switch (args[i])
    {
        case "--records":
            records = int.Parse(args[i + 1], CultureInfo.InvariantCulture);
            break;
        case "--folder":
            folder = args[i + 1];
            break;
        default:
            Console.Error.WriteLine($"{args[i]} is no option; there are --records N and --folder F.");
            return 2;
    }
}

Directory.CreateDirectory(folder);
try
{
    var workload = new Workload(records);
    await LogWithIndex.RunAsync(workload, Path.Combine(folder, "indexed"));
    WholeRows.Run(workload, Path.Combine(folder, "rows"));
}
finally
{
    Directory.Delete(folder, recursive: true);
}

return 0;
