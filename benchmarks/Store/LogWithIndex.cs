using System.Diagnostics;
using Frusta.Contracts.Buffers;
using Frusta.Store.Activations;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Store.Benchmarks;

/// <summary>The activation store as it is.</summary>
internal static class LogWithIndex
{
    private const int Reads = 2000;

    public static async Task RunAsync(Workload workload, string folder)
    {
        Console.WriteLine($"The log with an index, {workload.Records} records");
        var store = Open(folder, new ActivationStoreOptions { UnindexedRecords = 10_000_000, IndexBatch = 100_000, IndexInterval = TimeSpan.FromMinutes(1) });
        using var buffer = PooledBuffer.Rent();
        Workload.Rate("make a record", workload.Records, () =>
        {
            for (var i = 0; i < workload.Records; i++)
            {
                workload.Make(i, buffer);
            }
        });
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        // Indexing waits until afterwards here, so that the processor time is that of the appends and their syncs.
        Workload.Rate("make a record and append it", workload.Records, () =>
        {
            for (var i = 0; i < workload.Records; i++)
            {
                store.Append(workload.Make(i, buffer));
            }
        });
        Console.WriteLine(FormattableString.Invariant(
            $"  allocated by make and append                 {(GC.GetAllocatedBytesForCurrentThread() - allocated) / workload.Records,10:N0} bytes a record"));
        await store.DisposeAsync();

        var index = Path.Combine(folder, "index");
        Console.WriteLine(FormattableString.Invariant($"  index                                        {Workload.BytesOf(index) / workload.Records,10:N0} bytes a record"));
        Directory.Delete(index, recursive: true);
        Workload.Rate("read the log and build the index, one thread", workload.Records, () => store = Open(folder));
        await store.DisposeAsync();

        var begun = Stopwatch.GetTimestamp();
        store = Open(folder);
        Console.WriteLine(FormattableString.Invariant($"  open                                         {Stopwatch.GetElapsedTime(begun).TotalMilliseconds,10:N1} ms"));
        await ReadAsync(workload, store);
        await store.DisposeAsync();
    }

    private static async Task<int> CountReadAsync(ActivationStore store, IReadOnlyList<RecordLocation> locations)
    {
        using var page = await store.ReadAsync(locations, CancellationToken.None);
        return page.Count;
    }

    private static async Task ReadAsync(Workload workload, ActivationStore store)
    {
        var random = new Random(1);
        await TimeAsync("get by id", Reads, async () =>
        {
            var i = random.Next(workload.Records);
            Require(await CountReadAsync(store, [(await store.LocateAsync(Workload.NamespaceOf(i), workload.Ids[i], CancellationToken.None))!.Value]) == 1);
        });
        await TimeAsync("list 30 of a namespace", Reads / 4, async () => Require(
            await CountReadAsync(store, await store.LocateAsync(new ActivationQuery(Workload.NamespaceOf(random.Next(Workload.Namespaces)), Limit: 30), CancellationToken.None)) == 30));
        await TimeAsync("list 30 of an action", Reads / 4, async () =>
        {
            var i = random.Next(Workload.Namespaces * Workload.Actions);
            Require(await CountReadAsync(store, await store.LocateAsync(
                new ActivationQuery(Workload.NamespaceOf(i), Workload.ActionOf(i), Limit: 30), CancellationToken.None)) > 0);
        });
        await TimeAsync("count a namespace", 20, async () => Require(
            await store.CountAsync(new ActivationQuery(Workload.NamespaceOf(1)), CancellationToken.None) > 0));
    }

    private static ActivationStore Open(string folder, ActivationStoreOptions? options = null) =>
        ActivationStore.Open(folder, options ?? new ActivationStoreOptions(), TimeProvider.System, NullLogger<ActivationStore>.Instance);

    private static async Task TimeAsync(string what, int count, Func<Task> run)
    {
        var begun = Stopwatch.GetTimestamp();
        for (var i = 0; i < count; i++)
        {
            await run();
        }

        Console.WriteLine(FormattableString.Invariant($"  {what,-44} {Stopwatch.GetElapsedTime(begun).TotalMicroseconds / count,10:N1} us"));
    }

    private static void Require(bool holds)
    {
        if (!holds)
        {
            throw new InvalidOperationException("The store did not answer what was put in.");
        }
    }
}
