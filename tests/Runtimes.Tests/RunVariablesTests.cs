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
    [InlineData("{}", "none")]
    [InlineData("{ env: SHARE_ENV }", "none")]
    [InlineData("{ env: process.env }", "own")]
    public async Task A_worker_sees_the_values_of_the_run_that_made_it_or_none(string options, string expected)
    {
        await using var runtime = await runtimes.StartAsync(runtimes.Recipe("nodejs:20"));
        await runtime.InitAsync(
            "const { Worker, SHARE_ENV } = require('worker_threads');\n"
            + "const code = \"const { __OW_ACTIVATION_ID: a, __OW_TRANSACTION_ID: t, __OW_DEADLINE: d } = process.env; require('worker_threads').parentPort.postMessage(a ?? t ?? d ?? 'none')\";\n"
            + $"async function main(a) {{ const id = process.env.__OW_ACTIVATION_ID; if (a.set) process.env.__OW_ACTIVATION_ID = 5; return {{seen: await new Promise(r => new Worker(code, {{eval: true, ...{options}}}).on('message', r))}}; }}",
            env: new JsonObject { ["__OW_ACTIVATION_ID"] = "first", ["__OW_TRANSACTION_ID"] = "first", ["__OW_DEADLINE"] = "first" });

        foreach (var set in (bool[])[true, false, false])
        {
            var id = ActivationId.New(TimeProvider.System);
            var seen = JsonNode.Parse((await runtime.RunAsync(new JsonObject { ["set"] = set }, id: id)).Body!)!["seen"]!.GetValue<string>();
            Assert.Equal(expected is "none" ? "none" : set ? "5" : id.ToString(), seen);
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

    private const string NodeHarmed = """
        const { execFileSync } = require('child_process');
        const first = process.env;
        const named = process;
        let runs = 0;
        const names = ['__OW_ACTIVATION_ID', '__OW_TRANSACTION_ID', '__OW_DEADLINE', '__OW_NAMESPACE', '__OW_ACTION_NAME'];
        const child = "process.stdout.write(" + JSON.stringify(names) + ".map(name => process.env[name]).join())";
        function main() {
          const node = named.execPath;
          const values = {read: names.map(name => process.env[name]).join(), child: execFileSync(node, ['-e', child]).toString()};
          if (runs++ === 0) {
            HARM
          }
          return values;
        }
        """;

    private const string PythonHarmed = """
        import collections, os, subprocess
        from os import environ
        runs = 0
        names = ['__OW_ACTIVATION_ID', '__OW_TRANSACTION_ID', '__OW_DEADLINE', '__OW_NAMESPACE', '__OW_ACTION_NAME']
        class Frozen(dict):
            def _refuse(self, *a, **k): raise TypeError('frozen')
            __setitem__ = update = setdefault = _refuse
        class Deaf(collections.UserDict):
            def __setitem__(self, name, value): pass
        class Ending(dict):
            def update(self, *a, **k): raise SystemExit(3)
        def main(args):
            global runs
            text = ','.join
            values = {'read': text(os.environ[n] for n in names), 'bytes': text(os.environb[n.encode()].decode() for n in names),
                      'imported': text(environ[n] for n in names), 'got': text(os.getenv(n) for n in names),
                      'child': subprocess.check_output(['/bin/sh', '-c', 'echo "' + text('$' + n for n in names) + '"'], text=True).strip()}
            runs += 1
            if runs == 1:
                HARM
            return values
        """;

    [Theory]
    [InlineData("process.env = {...process.env};")]
    [InlineData("process.env = {};")]
    [InlineData("process.env = null;")]
    [InlineData("process.env = 'text';")]
    [InlineData("delete process.env;")]
    [InlineData("process.env = Object.freeze({...process.env});")]
    [InlineData("process.env = Object.seal({...process.env, __OW_ACTIVATION_ID: undefined});")]
    [InlineData("process.env = Object.create(first);")]
    [InlineData("process.env = new Proxy({...first}, { set() { return true; } });")]
    [InlineData("process.env = new Proxy({...first}, { set() { throw new Error('no'); }, ownKeys() { throw new Error('no'); } });")]
    [InlineData("process.env = { ...process.env, set __OW_ACTIVATION_ID(value) { throw new Error('no'); }, get __OW_ACTIVATION_ID() { return 'old'; } };")]
    [InlineData("for (const name of Object.keys(process.env)) if (name !== 'PATH') delete process.env[name];")]
    [InlineData("for (const name of names) process.env[name] = 'old';")]
    [InlineData("for (const name of names) delete process.env[name]; Object.setPrototypeOf(process.env, Object.fromEntries(names.map(name => [name, 'old'])));")]
    [InlineData("for (const name of names) { delete process.env[name]; Object.defineProperty(Object.prototype, name, { get() { return 'old'; } }); }")]
    [InlineData("Object.defineProperty(process, 'env', { value: {...first} });")]
    [InlineData("Object.defineProperty(process, 'env', { value: {...first}, writable: false, configurable: false });")]
    [InlineData("Object.defineProperty(process, 'env', { get() { return {...first, __OW_ACTIVATION_ID: 'old'}; }, configurable: true });")]
    [InlineData("Object.defineProperty(process, 'env', { get() { throw new Error('no'); }, configurable: true });")]
    [InlineData("const old = {...first}; Object.defineProperty(process, 'env', { get() { return old; }, set() {}, configurable: false });")]
    [InlineData("globalThis.process = {...process, env: {...process.env}};")]
    [InlineData("globalThis.process = Object.create(process, { env: { value: Object.freeze({...first}), configurable: true } });")]
    public async Task Each_run_of_Node_sees_its_own_values_whatever_an_earlier_one_did(string harm) => await AssertOwnValuesAsync("nodejs:20", NodeHarmed, harm);

    [Theory]
    [InlineData("os.environ = dict(os.environ)")]
    [InlineData("os.environ = {}")]
    [InlineData("os.environ = None")]
    [InlineData("del os.environ")]
    [InlineData("os.environ.clear()")]
    [InlineData("os.environb.clear()")]
    [InlineData("os.environ = Frozen(os.environ)")]
    [InlineData("os.environ = __import__('types').MappingProxyType(dict(os.environ))")]
    [InlineData("os.environ = Deaf(); os.environ.data = dict(environ)")]
    [InlineData("os.environ = Ending(os.environ)")]
    [InlineData("os.environ = collections.ChainMap({}, environ)")]
    [InlineData("os.environ._data = dict(os.environ._data)")]
    [InlineData("os.environb = dict(os.environb)")]
    [InlineData("os.environb = None")]
    [InlineData("[os.putenv(n, 'old') for n in names]")]
    [InlineData("[os.unsetenv(n) for n in names]")]
    [InlineData("[os.environ.__setitem__(n, 'old') for n in names]")]
    [InlineData("[os.environ.__delitem__(n) for n in names]")]
    [InlineData("os.environ = os.environ.copy(); os.environ['__OW_ACTIVATION_ID'] = 'old'")]
    public async Task Each_run_of_Python_sees_its_own_values_whatever_an_earlier_one_did(string harm) => await AssertOwnValuesAsync("python:3.11", PythonHarmed, harm);

    /// <summary>Whoever replaced the environment wanted what he put there.</summary>
    [Theory]
    [InlineData("nodejs:20", "let n = 0; function main() { if (n++ === 0) process.env = Object.freeze({...process.env, MINE: 'x'}); return {mine: process.env.MINE}; }")]
    [InlineData("nodejs:20", "let n = 0; function main() { if (n++ === 0) process.env = {...process.env, MINE: 'x'}; return {mine: process.env.MINE}; }")]
    [InlineData("python:3.11", "import os, types\nn = 0\ndef main(a):\n    global n\n    n += 1\n    if n == 1: os.environ = types.MappingProxyType({**os.environ, 'MINE': 'x'})\n    return {'mine': os.environ.get('MINE')}\n")]
    public async Task What_code_put_into_an_environment_of_its_own_stays_there(string kind, string code)
    {
        await using var runtime = await runtimes.StartAsync(runtimes.Recipe(kind));
        await runtime.InitAsync(code);

        for (var run = 0; run < 3; run++)
        {
            Assert.Equal("x", JsonNode.Parse((await runtime.RunAsync()).Body!)!["mine"]!.GetValue<string>());
        }
    }

    private async Task AssertOwnValuesAsync(string kind, string code, string harm)
    {
        await using var runtime = await runtimes.StartAsync(runtimes.Recipe(kind));
        var init = await runtime.InitAsync(code.Replace("HARM", harm, StringComparison.Ordinal));
        Assert.True(init.Ok, init.Body);

        for (var run = 0; run < 3; run++)
        {
            var id = ActivationId.New(TimeProvider.System);
            var said = await runtime.RunAsync(id: id, transactionId: $"tid{run}");
            Assert.True(said.Ok, said.Body);
            Assert.All(JsonNode.Parse(said.Body!)!.AsObject(), value =>
                Assert.Equal($"{value.Key}: {id},tid{run},1795492170903,guest,/guest/hello", $"{value.Key}: {value.Value}"));
        }
    }

    private static async Task<int> ResidentKiBAsync(LiveRuntime runtime) =>
        JsonDocument.Parse((await runtime.RunAsync(new JsonObject { ["measure"] = true })).Body!).RootElement.GetProperty("kib").GetInt32();
}
