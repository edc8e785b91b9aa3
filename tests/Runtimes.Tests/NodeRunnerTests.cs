using System.Text.Json.Nodes;

namespace Frusta.Runtimes.Tests;

public sealed class NodeRunnerTests(RuntimeFixture runtimes)
{
    [Theory]
    [InlineData("function main(a) { return a; }", true, """{"name":"Jane"}""")]
    [InlineData("function main() { return; }", true, "{}")]
    [InlineData("function main() { return null; }", true, "null")]
    [InlineData("function main() { return [1, {a: 2}]; }", true, """[1,{"a":2}]""")]
    [InlineData("function main() { return 7; }", false, """{"error":"The action did not return a dictionary."}""")]
    [InlineData("async function main() { return 5; }", false, """{"error":"The action did not return a dictionary."}""")]
    [InlineData("function main() { return main; }", false, """{"error":"The action did not return a dictionary."}""")]
    [InlineData("function main() { return new Date(0); }", true, "\"1970-01-01T00:00:00.000Z\"")]
    [InlineData("function main() { return {error: 'bad', b: 1}; }", true, """{"error":"bad","b":1}""")]
    [InlineData("function main() { throw new Error('boom 1'); }", false, """{"error":"An error has occurred: Error: boom 1"}""")]
    [InlineData("function main() { throw {code: 1}; }", false, """{"error":"An error has occurred: [object Object]"}""")]
    [InlineData("function main() { throw null; }", false, """{"error":"An error has occurred: null"}""")]
    [InlineData("function main() { throw Object.create(null); }", false, """{"error":"Internal error."}""")]
    [InlineData("function main() { throw Symbol('s'); }", false, """{"error":"Internal error."}""")]
    [InlineData("function main() { const r = {}; Promise.resolve().then(() => { r.micro = 1; }); process.nextTick(() => { r.tick = 2; }); return r; }", true, """{"tick":2,"micro":1}""")]
    [InlineData("function main() { const r = {n: 0}; let p = Promise.resolve(); for (let i = 0; i < 8; i++) p = p.then(() => r.n++); return r; }", true, """{"n":6}""")]
    [InlineData("async function main() { const r = {n: 0}; let p = Promise.resolve(); for (let i = 0; i < 8; i++) p = p.then(() => r.n++); return r; }", true, """{"n":6}""")]
    [InlineData("function main() { const r = {n: 0}; let p = Promise.resolve(); for (let i = 0; i < 8; i++) p = p.then(() => r.n++); return Promise.reject(r); }", true, """{"error":{"n":6}}""")]
    [InlineData("function main() { const r = {n: 0, toString() { return 'n ' + this.n; }}; let p = Promise.resolve(); for (let i = 0; i < 8; i++) p = p.then(() => r.n++); throw r; }", false, """{"error":"An error has occurred: n 5"}""")]
    [InlineData("function main() { return Object.defineProperty(Promise.resolve({}), 'constructor', { get() { throw {hidden: true}; } }); }", true, """{"error":{"hidden":true}}""")]
    [InlineData("class Traced extends Promise {} Promise.prototype.constructor = Traced; function main() { return {a: 1}; }", true, """{"a":1}""")]
    [InlineData("class Traced extends Promise {} global.Promise = Traced; async function main() { await Promise.resolve(1); return {a: 1}; }", true, """{"a":1}""")]
    [InlineData("class Traced extends Promise {} Promise.prototype.constructor = Traced; async function main() { return {a: 1}; }", true, """{"a":1}""")]
    [InlineData("'use strict'; function main() { this.calls = (this.calls || 0) + 1; return {calls: this.calls}; }", true, """{"calls":1}""")]
    [InlineData("function main() { return {join: path.join('a', 'b'), fs: typeof fs.readFileSync, gc: typeof global.gc, sep: module.require('path').sep}; }", true, """{"join":"a/b","fs":"function","gc":"function","sep":"/"}""")]
    [InlineData("function main() { const a = []; a.then = y => y({from: 'array'}); return a; }", true, """{"from":"array"}""")]
    [InlineData("function main() { return Promise.reject({a: null}); }", true, """{"error":"Cannot read properties of null (reading 'pipe')"}""")]
    [InlineData("function main() { return Promise.reject({a: 1, at: new Date(0), toJSON() { return {at: this.at}; }}); }", true, """{"error":{"at":"1970-01-01T00:00:00.000Z"}}""")]
    [InlineData("function main() { return Promise.reject({b: Buffer.from('x'), s: {pipe() {}}, d: new Date(0)}); }", true, """{"error":{"b":"[object Buffer]","s":"[object Stream]","d":"1970-01-01T00:00:00.000Z"}}""")]
    [InlineData("function main() { return Promise.reject({get a() { throw new Error('getter'); }}); }", true, """{"error":"getter"}""")]
    [InlineData("function main() { return Promise.reject('nope'); }", true, """{"error":"nope"}""")]
    [InlineData("function main() { return Promise.reject(0); }", true, """{"error":{}}""")]
    [InlineData("function main() { return new Promise((y, n) => setTimeout(() => n({late: true}), 20)); }", true, """{"error":{"late":true}}""")]
    [InlineData("function main() { return {then: y => y({from: 'thenable'})}; }", true, """{"from":"thenable"}""")]
    [InlineData("function main() { const a = {}; a.a = a; return a; }", false, """{"error":"Internal error."}""")]
    [InlineData("function main() { return {n: 1n}; }", false, """{"error":"Internal error."}""")]
    [InlineData("exports.main = a => ({style: 'exports'});", true, """{"style":"exports"}""")]
    [InlineData("function main() { return {from: 'local'}; }\nexports.main = () => ({from: 'exports'});", true, """{"from":"local"}""")]
    [InlineData("const main = a => ({style: 'arrow'}) // no line end", true, """{"style":"arrow"}""")]
    [InlineData("const module = 1, require = 2; function main() { u = 5; return {u}; }", true, """{"u":5}""")]
    [InlineData("async function main() { return {path: (await import('node:path')).sep}; }", true, """{"path":"/"}""")]
    [InlineData("JSON.stringify = Buffer.from = Object.keys = Array.isArray = String.prototype.toUpperCase = () => 'x';\nfunction main(a) { return a; }", true, """{"name":"Jane"}""")]
    public async Task A_result_is_answered_as_the_node_image_answers(string code, bool ok, string body)
    {
        await using var node = await runtimes.StartNodeAsync();

        var said = await node.InitAndRunAsync(code, new JsonObject { ["name"] = "Jane" });

        Assert.Equal(new Said(RuntimeAnswerKind.Answered, ok, body, body.Length), said);
    }

    [Theory]
    [InlineData("function größe() { return {by: 'name'}; }", "größe", "name")]
    [InlineData("const h = [() => ({by: 'index'})];", " h[0] ", "index")]
    [InlineData("function f() { return {by: this.x}; }", "f.bind({x: 7})", "7")]
    [InlineData("const ns = {inner: {run: () => ({by: 'member'})}};", "ns.inner.run", "member")]
    [InlineData("exports.run = () => ({by: 'export'});", "run", "export")]
    public async Task A_main_of_a_text_is_any_expression(string code, string main, string by)
    {
        await using var node = await runtimes.StartNodeAsync();
        Assert.True((await node.InitAsync(code, main)).Ok);
        Assert.Equal(by, JsonNode.Parse((await node.RunAsync()).Body!)!["by"]!.ToString());
    }

    [Theory]
    [InlineData("var main; exports.main = () => ({});", "main", "Action entrypoint 'main' is not a function.")]
    [InlineData("const ns = {};", "ns.a.b", "TypeError: Cannot read properties of undefined (reading 'b')")]
    [InlineData("throw null;", "main", null)]
    public async Task A_main_that_cannot_be_had_is_refused_in_the_words_of_the_language(string code, string main, string? words)
    {
        await using var node = await runtimes.StartNodeAsync();
        var said = await node.InitAsync(code, main);
        Assert.False(said.Ok);
        Assert.StartsWith(words is null ? "{\"error\":\"Internal error.\"}" : "{\"error\":\"Initialization has failed due to: " + words, said.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Child_processes_do_not_hold_the_channel()
    {
        const string Code = """
            const { execFileSync, spawnSync } = require('child_process');
            const { readlinkSync } = require('fs');
            function main() {
              const held = execFileSync('/bin/ls', ['-l', '/proc/self/fd']).toString() + spawnSync('/bin/sh', ['-c', 'ls -l /proc/self/fd'], { stdio: ['inherit', 'pipe', 'inherit'] }).stdout;
              return {channel: [3, 4].map(fd => readlinkSync('/proc/self/fd/' + fd)), held};
            }
            """;
        await using var node = await runtimes.StartNodeAsync();

        var said = JsonNode.Parse((await node.InitAndRunAsync(Code)).Body!)!;

        Assert.All(said["channel"]!.AsArray(), end => Assert.Matches(@"^pipe:\[\d+\]$", end!.GetValue<string>()));
        Assert.All(said["channel"]!.AsArray(), end => Assert.DoesNotContain(end!.GetValue<string>(), said["held"]!.GetValue<string>(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_rejected_error_has_its_name_message_and_stack()
    {
        await using var node = await runtimes.StartNodeAsync();

        var said = await node.InitAndRunAsync("async function main() { const e = new TypeError('boom'); e.code = 'E1'; e.extra = {deep: e}; throw e; }");

        var error = JsonNode.Parse(said.Body!)!["error"]!;
        Assert.Equal(("TypeError", "boom", "E1"), ((string)error["name"]!, (string)error["message"]!, (string)error["code"]!));
        Assert.StartsWith("TypeError: boom\n", (string)error["stack"]!, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("thisIsNotDefined;\nfunction main() {}", "Initialization has failed due to: ReferenceError: thisIsNotDefined is not defined")]
    [InlineData("function main( { return {}; }", "Initialization has failed due to: SyntaxError: ")]
    [InlineData("throw 'just text';", "Initialization has failed due to: just text\"")]
    [InlineData("var main = {a: 1};", "Initialization has failed due to: Action entrypoint 'main' is not a function")]
    [InlineData("require('no-such-package-zz');", "Initialization has failed due to: Error: Cannot find module 'no-such-package-zz'")]
    [InlineData("", "Missing main/no code to execute.\"")]
    public async Task Code_that_does_not_load_fails_the_init_with_the_reason(string code, string reason)
    {
        await using var node = await runtimes.StartNodeAsync();

        var said = await node.InitAsync(code);

        Assert.Equal((RuntimeAnswerKind.Answered, false), (said.Kind, said.Ok));
        Assert.StartsWith("""{"error":"REASON""".Replace("REASON", reason, StringComparison.Ordinal), said.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_init_is_refused_and_the_action_goes_on()
    {
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAsync("function main() { return {v: 1}; }");

        var second = await node.InitAsync("function main() { return {v: 2}; }");

        Assert.Equal("""{"error":"Cannot initialize the action more than once."}""", second.Body);
        Assert.Equal("""{"v":1}""", (await node.RunAsync()).Body);
    }

    [Theory]
    [InlineData("function main() { process.exit(2); }")]
    [InlineData("function main() { return new Promise(() => setTimeout(() => { throw new Error('in timer'); }, 5)); }")]
    [InlineData("function main() { process.kill(process.pid, 'SIGKILL'); return new Promise(() => {}); }")]
    public async Task A_process_that_ends_closes_the_channel_without_an_answer(string code)
    {
        await using var node = await runtimes.StartNodeAsync();

        var said = await node.InitAndRunAsync(code);

        Assert.Equal(new Said(RuntimeAnswerKind.Closed, false, null, 0), said);
        await node.ClosedAsync();
        Assert.Equal(RuntimeAnswerKind.Closed, (await node.RunAsync()).Kind);
    }

    [Fact]
    public async Task A_process_that_ends_between_activations_is_noticed()
    {
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAndRunAsync("function main() { setTimeout(() => process.exit(0), 20); return {}; }");

        await node.ClosedAsync();

        Assert.True(node.Client.IsDead);
    }

    [Fact]
    public async Task Init_variables_are_there_at_load_and_each_run_brings_its_own()
    {
        await using var node = await runtimes.StartNodeAsync();
        var env = new JsonObject { ["COLOR"] = "blue", ["__OW_NAMESPACE"] = "guest", ["OBJ"] = new JsonObject { ["k"] = 1 }, ["NUL"] = null };
        await node.InitAsync("const early = [process.env.COLOR, process.env.OBJ, process.env.NUL, process.env.__OW_NAMESPACE];\n"
            + "function main(a) { process.env.__OW_NAMESPACE = 'mine'; return {early, id: process.env.__OW_ACTIVATION_ID, ns: a.was}; }", env: env);
        var id = Contracts.Names.ActivationId.New(TimeProvider.System);

        var first = await node.RunAsync();
        var second = await node.RunAsync(id: id);

        Assert.Contains("""["blue","{\"k\":1}","","guest"]""", first.Body, StringComparison.Ordinal);
        Assert.Contains($"\"id\":\"{id}\"", second.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1024 * 1024 - 8, RuntimeAnswerKind.Answered)]
    [InlineData(1024 * 1024 - 7, RuntimeAnswerKind.TooLarge)]
    [InlineData(30 * 1024 * 1024, RuntimeAnswerKind.TooLarge)]
    public async Task A_result_over_the_limit_comes_with_its_length_and_its_beginning(int length, RuntimeAnswerKind kind)
    {
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAsync("var n = 0; function main(a) { n++; return a.n ? {m: 'b'.repeat(a.n)} : {n}; }");

        var said = await node.RunAsync(new JsonObject { ["n"] = length });

        Assert.Equal((kind, length + 8L), (said.Kind, said.Length));
        Assert.Equal(Math.Min(length + 8, LiveRuntimes.MaxResultBytes), said.Body!.Length);
        Assert.StartsWith("{\"m\":\"bbb", said.Body, StringComparison.Ordinal);
        Assert.Equal("""{"n":2}""", (await node.RunAsync()).Body);
    }

    [Fact]
    public async Task A_request_of_megabytes_arrives_whole()
    {
        await using var node = await runtimes.StartNodeAsync();

        var said = await node.InitAndRunAsync("function main(a) { return {length: a.text.length, end: a.text.slice(-3)}; }", new JsonObject { ["text"] = new string('é', 5_000_000) + "end" });

        Assert.Equal("""{"length":5000003,"end":"end"}""", said.Body);
    }

    [Fact]
    public async Task Code_that_overtakes_the_file_of_the_channel_can_only_end_its_own_sandbox()
    {
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAndRunAsync("""
            const fs = require('fs');
            function main() {
              if (!fs.fstatSync(4).isFIFO()) throw new Error('the channel was not found');
              fs.writeSync(4, Buffer.alloc(40, 1));
              return {};
            }
            """);

        await node.ClosedAsync();

        Assert.Equal(RuntimeAnswerKind.Closed, (await node.RunAsync()).Kind);
    }

    [Fact]
    public async Task The_npm_client_of_openwhisk_is_there_without_being_brought()
    {
        var installed = runtimes.Recipe("nodejs:20").Environment.ContainsKey("NODE_PATH");
        TestRun.Require(installed, "the packages of the Node.js runtime are not installed: run npm install in runtimes/nodejs");
        await using var node = await runtimes.StartNodeAsync();

        var said = await node.InitAndRunAsync("const openwhisk = require('openwhisk'); function main() { return {type: typeof openwhisk, path: process.env.NODE_PATH}; }");

        Assert.Equal("""{"type":"function"}""", said.Body);
    }
}
