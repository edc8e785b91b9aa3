using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Frusta.Contracts.Names;

namespace Frusta.Runtimes.Tests;

/// <summary>What counts the bytes of the whole process runs while no other test does.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "alone";
}

[Collection(AloneCollection.Name)]
public sealed class WarmRunTests(RuntimeFixture runtimes)
{
    [Theory]
    [InlineData("nodejs:20", "function main(a) { return a; }")]
    [InlineData("python:3.11", "def main(a):\n    return a\n")]
    public async Task A_warm_run_allocates_little_more_than_its_answer(string kind, string code)
    {
        const int Runs = 2000;
        await using var cell = await runtimes.StartAsync(runtimes.Recipe(kind));
        await cell.InitAndRunAsync(code);
        var request = Encoding.UTF8.GetBytes("{\"value\":{\"name\":\"x\"},\"namespace\":\"guest\",\"action_name\":\"/guest/hello\",\"deadline\":\"1\"}");
        for (var i = 0; i < Runs; i++)
        {
            await RunOnceAsync(cell, request);
        }

        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < Runs; i++)
        {
            await RunOnceAsync(cell, request);
        }

        var each = (GC.GetTotalAllocatedBytes(precise: true) - allocated) / Runs;
        TestContext.Current.TestOutputHelper!.WriteLine($"{kind}: {Stopwatch.GetElapsedTime(began).TotalMicroseconds / Runs:F1} us, {each} bytes");
        // The async machine of RunOnceAsync, the counted buffer, and what the runtime itself does meanwhile.
        Assert.True(each < 5000, $"{each} bytes a run");
    }

    /// <summary>Each new page of the heap is a page fault, in a process that has slept the dearest part of a run.</summary>
    [Fact]
    public async Task A_warm_run_leaves_little_garbage_in_Node()
    {
        const int Runs = 200;
        await using var cell = await runtimes.StartAsync(runtimes.Recipe("nodejs:20"));
        await cell.InitAsync("function main(a) { if (a.collect) gc(); return a.measure ? {used: process.memoryUsage().heapUsed} : a; }");
        cell.TakeLogs(failed: false);
        var plain = Encoding.UTF8.GetBytes("""
            {"value":{},"namespace":"guest","action_name":"/guest/hello","action_version":"0.0.1","activation_id":"0123456789abcdef0123456789abcdef","transaction_id":"x","deadline":"1"}
            """);
        for (var i = 0; i < 2000; i++)
        {
            await RunOnceAsync(cell, plain);
        }

        var before = await UsedAsync("""{"measure":true,"collect":true}""");
        for (var i = 0; i < Runs; i++)
        {
            await RunOnceAsync(cell, plain);
        }

        var each = (await UsedAsync("""{"measure":true}""") - before) / Runs;
        TestContext.Current.TestOutputHelper!.WriteLine($"{each} bytes");
        Assert.InRange(each, 1, 2500);

        async Task<long> UsedAsync(string arguments) =>
            JsonNode.Parse((await cell.RunAsync(JsonNode.Parse(arguments))).Body!)!["used"]!.GetValue<long>();
    }

    private static async Task RunOnceAsync(LiveRuntime cell, ReadOnlyMemory<byte> request)
    {
        cell.BeginOutput();
        var answer = await cell.Client.RunAsync(new ActivationId(1, 2), request, CancellationToken.None);
        cell.TakeLogs(failed: false);
        Assert.True(answer.Ok);
        answer.Body!.Dispose();
    }
}
