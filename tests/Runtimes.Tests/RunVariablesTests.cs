using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Frusta.Contracts.Names;

namespace Frusta.Runtimes.Tests;

/// <summary>The variables <c>__OW_NAME</c>, which change with every run.</summary>
public sealed class RunVariablesTests(RuntimeFixture runtimes)
{
    private const string NodeReads = """
        const { execFileSync } = require('child_process');
        function main() {
          const { __OW_ACTIVATION_ID: spread } = {...process.env};
          return {values: [process.env.__OW_ACTIVATION_ID, spread, execFileSync('/bin/sh', ['-c', 'echo $__OW_ACTIVATION_ID']).toString().trim()]};
        }
        """;

    private const string PythonReads = """
        import os, subprocess
        def main(a):
            return {'values': [os.environ['__OW_ACTIVATION_ID'], dict(os.environ)['__OW_ACTIVATION_ID'],
                               subprocess.check_output(['/bin/sh', '-c', 'echo $__OW_ACTIVATION_ID'], text=True).strip()]}
        """;

    private const string NodeMemory = """
        const { readFileSync } = require('fs');
        function main(a) { return a.measure ? {kib: Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])} : {}; }
        """;

    private const string PythonMemory = """
        import re
        def main(a):
            return {'kib': int(re.search(r'VmRSS:\s+(\d+)', open('/proc/self/status').read()).group(1))} if a.get('measure') else {}
        """;

    private const string NodeOverwrites = """
        function main(a) {
          const seen = process.env.__OW_ACTIVATION_ID;
          if (a.remove) { delete process.env.__OW_ACTIVATION_ID; } else { process.env.__OW_ACTIVATION_ID = 5; }
          return {seen, left: String(process.env.__OW_ACTIVATION_ID)};
        }
        """;

    private const string PythonOverwrites = """
        import os
        def main(a):
            seen = os.environ['__OW_ACTIVATION_ID']
            if a.get('remove'):
                del os.environ['__OW_ACTIVATION_ID']
            else:
                os.environ['__OW_ACTIVATION_ID'] = '5'
            return {'seen': seen, 'left': os.environ.get('__OW_ACTIVATION_ID', 'undefined')}
        """;

    [Theory]
    [InlineData("nodejs:20", NodeReads)]
    [InlineData("python:3.11", PythonReads)]
    public async Task Each_run_and_its_child_processes_see_the_values_of_that_run(string kind, string code)
    {
        await using var runtime = await runtimes.StartAsync(runtimes.Recipe(kind));
        await runtime.InitAsync(code);

        for (var i = 0; i < 3; i++)
        {
            var id = ActivationId.New(TimeProvider.System);
            var values = JsonNode.Parse((await runtime.RunAsync(id: id)).Body!)!["values"]!.AsArray();
            Assert.All(values, value => Assert.Equal(id.ToString(), value!.GetValue<string>()));
        }
    }

    [Theory]
    [InlineData("nodejs:20", NodeMemory)]
    [InlineData("python:3.11", PythonMemory)]
    public async Task The_values_of_earlier_runs_do_not_stay_in_memory(string kind, string code)
    {
        const int Runs = 3000;
        const int ValueBytes = 16 * 1024; // 48 MiB of values in all
        await using var runtime = await runtimes.StartAsync(runtimes.Recipe(kind));
        await runtime.InitAsync(code);
        var before = await ResidentKiBAsync(runtime);

        for (var i = 0; i < Runs; i++)
        {
            await runtime.RunAsync(transactionId: i.ToString(CultureInfo.InvariantCulture).PadRight(ValueBytes, 'x'));
        }

        var grown = await ResidentKiBAsync(runtime) - before;
        TestContext.Current.TestOutputHelper!.WriteLine($"{kind}: {grown} KiB more after {Runs} runs");
        Assert.True(grown < Runs * ValueBytes / 1024 / 2, $"the process grew by {grown} KiB");
    }

    [Theory]
    [InlineData("nodejs:20", NodeOverwrites)]
    [InlineData("python:3.11", PythonOverwrites)]
    public async Task What_an_action_makes_of_a_variable_lasts_until_its_next_run(string kind, string code)
    {
        await using var runtime = await runtimes.StartAsync(runtimes.Recipe(kind));
        await runtime.InitAsync(code);

        foreach (var (remove, left) in new[] { (false, "5"), (true, "undefined"), (false, "5"), (true, "undefined") })
        {
            var id = ActivationId.New(TimeProvider.System);
            var said = JsonNode.Parse((await runtime.RunAsync(new JsonObject { ["remove"] = remove }, id)).Body!)!;
            Assert.Equal((id.ToString(), left), (said["seen"]!.GetValue<string>(), said["left"]!.GetValue<string>()));
        }
    }

    [Fact]
    public async Task The_environment_of_Node_behaves_as_the_real_one()
    {
        const string Code = """
            const tries = {
              coerced() { process.env.A = 1; return typeof process.env.A; },
              removed() { process.env.B = 'b'; return [delete process.env.B, 'B' in process.env]; },
              symbol() { process.env[Symbol('s')] = 1; },
              accessor() { Object.defineProperty(process.env, 'C', { get() { return 1; } }); },
              defined() { Object.defineProperty(process.env, 'D', { value: 4, writable: true, enumerable: true, configurable: true }); return process.env.D; },
              heir() { const heir = Object.create(process.env); heir.E = 1; return [typeof heir.E, 'E' in process.env]; },
              frozen() { Object.freeze(process.env); return 'frozen'; },
              own() { return process.env.hasOwnProperty('PATH') && Object.keys(process.env).includes('PATH'); },
              printed() { return require('util').inspect(process.env).includes(process.env.__OW_ACTIVATION_ID); },
              worker() { const { Worker } = require('worker_threads'); const w = new Worker('1', { eval: true, env: process.env }); return w instanceof Worker; },
            };
            function main() {
              const said = {};
              for (const name of Object.keys(tries)) { try { said[name] = tries[name]() ?? null; } catch (error) { said[name] = error.constructor.name; } }
              return said;
            }
            """;
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAsync(Code);

        var said = (await node.RunAsync()).Body;

        Assert.Equal(
            """{"coerced":"string","removed":[true,false],"symbol":"TypeError","accessor":"TypeError","defined":"4","heir":["number",false],"frozen":"TypeError","own":true,"printed":true,"worker":true}""",
            said);
    }

    private static async Task<int> ResidentKiBAsync(LiveRuntime runtime) =>
        JsonDocument.Parse((await runtime.RunAsync(new JsonObject { ["measure"] = true })).Body!).RootElement.GetProperty("kib").GetInt32();
}
