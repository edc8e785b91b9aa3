using System.Diagnostics;
using System.Text;
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

    private static async Task RunOnceAsync(LiveRuntime cell, ReadOnlyMemory<byte> request)
    {
        cell.BeginOutput();
        var answer = await cell.Client.RunAsync(new ActivationId(1, 2), request, CancellationToken.None);
        cell.TakeLogs(failed: false);
        Assert.True(answer.Ok);
        answer.Body!.Dispose();
    }
}
