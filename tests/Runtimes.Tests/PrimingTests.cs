using System.Diagnostics;

namespace Frusta.Runtimes.Tests;

public sealed class PrimingTests(RuntimeFixture runtimes)
{
    private const string NodeState = """
        const seen = {
          env: {...process.env}, cache: Object.keys(require.cache), globals: Object.getOwnPropertyNames(globalThis).sort(),
          argv: process.argv.length, files: require('fs').readdirSync('.').sort(),
          listeners: process.eventNames().map(n => [String(n), process.listenerCount(n)]),
        };
        function main() { return {...seen, handles: process._getActiveHandles().length, requests: process._getActiveRequests().length, timers: process.getActiveResourcesInfo().filter(r => r === 'Timeout').length}; }
        """;

    private const string PythonState = """
        import gc, os, sys, threading
        seen = {'env': dict(os.environ), 'modules': sorted(sys.modules), 'path': len(sys.path), 'argv': len(sys.argv), 'threads': threading.active_count(),
                'files': sorted(f for f in os.listdir('.') if f != os.path.basename(os.getcwd())), 'globals': sorted(k for k in globals() if k != 'seen')}
        def main(a):
            return seen
        """;

    [Theory]
    [InlineData("nodejs:20", NodeState)]
    [InlineData("python:3.11", PythonState)]
    public async Task A_primed_cell_cannot_be_told_from_a_fresh_one(string kind, string code)
    {
        await using var primed = await runtimes.StartAsync(runtimes.Recipe(kind));
        await using var fresh = await runtimes.StartAsync(runtimes.Recipe(kind));
        await primed.PrimeAsync(12);
        primed.TakeLogs(failed: false);
        Assert.Empty(primed.Logs);

        var byPrimed = await primed.InitAndRunAsync(code);
        var byFresh = await fresh.InitAndRunAsync(code);

        Assert.True(byFresh.Ok, byFresh.Body);
        Assert.Equal(byFresh.Body, byPrimed.Body);
    }

    [Theory]
    [InlineData("nodejs:20", "function main(a) { return a; }")]
    [InlineData("python:3.11", "def main(a):\n    return a\n")]
    public async Task The_first_run_of_a_primed_cell_is_a_matter_of_milliseconds(string kind, string code)
    {
        List<double> times = [];
        for (var i = 0; i < 5; i++)
        {
            await using var cell = await runtimes.StartAsync(runtimes.Recipe(kind));
            await cell.PrimeAsync(12);
            var began = Stopwatch.GetTimestamp();
            await cell.InitAndRunAsync(code);
            times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        times.Sort();
        TestContext.Current.TestOutputHelper!.WriteLine($"{kind}: init and run {string.Join(", ", times.Select(t => t.ToString("F2", null)))} ms");
        Assert.True(times[0] < 20, $"the fastest took {times[0]} ms");
    }
}
