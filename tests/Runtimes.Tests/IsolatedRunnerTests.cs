using System.Text.Json.Nodes;
using Frusta.Sandboxes;
using Frusta.Sandboxes.Bubblewrap;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Runtimes.Tests;

/// <summary>The same runners in sandboxes that isolate: a read-only system, another user, a /tmp of their own.</summary>
public sealed class IsolatedRunnerTests(RuntimeFixture runtimes)
{
    [Theory]
    [InlineData("nodejs:20", "function main(a) { console.log('seen'); require('fs').writeFileSync('f', 'x'); return {cwd: process.cwd(), a: a.a}; }", "{\"cwd\":\"/tmp\",\"a\":1}")]
    [InlineData("python:3.11", "def main(a):\n    print('seen')\n    return {'a': a['a'], 'text': open(__file__).read()[:3]}\n", "{\"a\": 1, \"text\": \"def\"}\n")]
    public async Task Runners_work_in_a_sandbox_that_isolates(string kind, string code, string body)
    {
        var (maker, reason) = await BubblewrapSandboxMaker.TryCreateAsync(
            new SandboxesOptions(), TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        Assert.SkipUnless(maker is not null || Environment.GetEnvironmentVariable("CI") is "true", reason);
        await using var owned = maker!;
        var recipe = runtimes.Recipe(kind);
        await using var cell = new LiveRuntime(
            await owned.StartAsync(recipe.ToSpec(256), TestContext.Current.CancellationToken), recipe.Family, runtimes.Loops, runtimes.Pump);
        await cell.PrimeAsync(4);

        var said = await cell.InitAndRunAsync(code, new JsonObject { ["a"] = 1 });

        Assert.Equal(new Said(RuntimeAnswerKind.Answered, true, body, body.Length), said);
        Assert.Equal(["stdout: seen"], cell.Logs);
    }
}
