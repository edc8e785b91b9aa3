using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Frusta.Sandboxes;
using Frusta.Sandboxes.Bubblewrap;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Runtimes.Tests;

/// <summary>The same runners in sandboxes that isolate: a read-only system, another user, a /tmp of their own.</summary>
public sealed class IsolatedRunnerTests(RuntimeFixture runtimes)
{
    private const string OrdinaryNode = """
        const { once } = require('events');
        async function main() {
          const assert = require('assert');
          const found = await require('dns').promises.lookup('localhost', {family: 4, hints: require('dns').ADDRCONFIG});
          assert.equal(found.address, '127.0.0.1');
          assert.ok((await require('dns').promises.lookup(require('os').hostname())).address);
          const http = require('http');
          const server = http.createServer((q, a) => a.end('served')).listen(0);
          await once(server, 'listening');
          for (const agent of [undefined, new http.Agent({keepAlive: true})]) {
            const [answer] = await once(http.get({port: server.address().port, agent}), 'response');
            assert.equal((await answer.toArray()).join(''), 'served');
          }
          assert.equal(await (await fetch(`http://localhost:${server.address().port}/`)).text(), 'served');
          server.closeAllConnections(); server.close();
          const { Worker } = require('worker_threads');
          assert.deepEqual(await once(new Worker("require('worker_threads').parentPort.postMessage(1)", {eval: true}), 'message'), [1]);
          const { execFileSync, spawn } = require('child_process');
          assert.equal(execFileSync('/bin/sh', ['-c', 'echo a | cat']).toString(), 'a\n');
          assert.deepEqual(await once(spawn(process.execPath, ['-e', 'process.exit(3)']), 'exit'), [3, null]);
          const net = require('net');
          const local = net.createServer(one => one.end('unix')).listen('/tmp/local');
          await once(local, 'listening');
          assert.equal((await net.connect('/tmp/local').toArray()).join(''), 'unix');
          local.close();
          const datagrams = require('dgram').createSocket('udp4');
          datagrams.bind(0, '127.0.0.1'); await once(datagrams, 'listening');
          datagrams.setRecvBufferSize(1 << 20);
          datagrams.send('x', datagrams.address().port, '127.0.0.1'); await once(datagrams, 'message');
          datagrams.close();
          return {ok: true};
        }
        """;

    private const string OrdinaryPython = """
        import asyncio, concurrent.futures, fcntl, http.server, io, json, multiprocessing, select, socket, sqlite3, subprocess, tempfile, threading, urllib.request, zipfile

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200); self.end_headers(); self.wfile.write(b'served')
            def log_message(self, *words): pass

        def square(x): return x * x

        async def talk():
            async def serve(reader, writer):
                writer.write(await reader.readline()); await writer.drain(); writer.close()
            server = await asyncio.start_server(serve, 'localhost', 0)
            reader, writer = await asyncio.open_connection('localhost', server.sockets[0].getsockname()[1])
            writer.write(b'line\n')
            assert await reader.readline() == b'line\n'
            process = await asyncio.create_subprocess_exec('/bin/echo', 'a', stdout=subprocess.PIPE)
            assert (await process.communicate())[0] == b'a\n'
            server.close()

        def main(args):
            assert ('127.0.0.1', 80) in [one[4] for one in socket.getaddrinfo('localhost', 80, socket.AF_INET, flags=socket.AI_ADDRCONFIG)]
            assert socket.getaddrinfo('localhost', 80, type=socket.SOCK_STREAM)
            assert socket.gethostbyname(socket.gethostname())
            assert socket.getservbyname('https') == 443
            server = http.server.ThreadingHTTPServer(('', 0), Handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            assert urllib.request.urlopen('http://localhost:%d/' % server.server_port).read() == b'served'
            server.shutdown()
            asyncio.run(talk())
            with concurrent.futures.ProcessPoolExecutor(2) as pool: assert list(pool.map(square, [1, 2])) == [1, 4]
            fresh = multiprocessing.get_context('spawn').Process(target=print, args=('fresh',)); fresh.start(); fresh.join(); assert fresh.exitcode == 0
            with multiprocessing.Manager() as manager: assert list(manager.list([1])) == [1]
            assert subprocess.run('echo a | cat', shell=True, capture_output=True, text=True).stdout == 'a\n'
            with tempfile.TemporaryDirectory() as folder:
                one, other = (sqlite3.connect(folder + '/data', isolation_level=None, timeout=0) for _ in range(2))
                one.execute('pragma journal_mode=wal'); one.execute('create table t (x)'); one.execute('begin immediate'); one.execute('insert into t values (1)')
                code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('begin immediate')"
                assert 'locked' in subprocess.run(['/usr/bin/python3', '-c', code, folder + '/data'], capture_output=True, text=True).stderr
                one.execute('commit')
                assert other.execute('select x from t').fetchall() == [(1,)]
                with open(folder + '/lock', 'w') as file: fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX)
            with zipfile.ZipFile(io.BytesIO(), 'w') as archive: archive.writestr('a', 'b')
            return {'ok': True}
        """;

    [Theory]
    [InlineData("nodejs:20", "function main(a) { console.log('seen'); require('fs').writeFileSync('f', 'x'); return {cwd: process.cwd(), a: a.a}; }", "{\"cwd\":\"/tmp\",\"a\":1}")]
    [InlineData("python:3.11", "def main(a):\n    print('seen')\n    return {'a': a['a'], 'text': open(__file__).read()[:3]}\n", "{\"a\": 1, \"text\": \"def\"}\n")]
    public async Task Runners_work_in_a_sandbox_that_isolates(string kind, string code, string body)
    {
        await using var maker = await MakeAsync();
        await using var cell = await StartAsync(maker, kind);
        await cell.PrimeAsync(4);

        var said = await cell.InitAndRunAsync(code, new JsonObject { ["a"] = 1 });

        Assert.Equal(new Said(RuntimeAnswerKind.Answered, true, body, body.Length), said);
        Assert.Equal(["stdout: seen"], cell.Logs);
    }

    [Fact]
    public async Task Node_is_told_its_network_interfaces()
    {
        await using var maker = await MakeAsync();
        await using var node = await StartAsync(maker, "nodejs:20");
        const string Code = """
            async function main() {
              const { networkInterfaces } = await import('node:os');
              const socket = require('dgram').createSocket('udp4');
              const own = await new Promise(told => socket.connect(9, '203.0.113.7', error => { told(error ? null : socket.address().address); socket.close(); }));
              return {...networkInterfaces(), same: networkInterfaces === require('os').networkInterfaces, own};
            }
            """;

        var said = JsonNode.Parse((await node.InitAndRunAsync(Code, new JsonObject())).Body!)!;

        Assert.Equal("""[{"address":"127.0.0.1","netmask":"255.0.0.0","family":"IPv4","mac":"00:00:00:00:00:00","internal":true,"cidr":"127.0.0.1/8"}]""", said["lo"]!.ToJsonString());
        Assert.True((bool)said["same"]!);
        Assert.SkipWhen(maker.ApiEndpoint is null, string.Join(' ', maker.Report.Missing));
        var own = IPAddress.Parse((string)said["own"]!);
        var hardware = "02:42:" + string.Join(':', own.GetAddressBytes().Select(static part => part.ToString("x2", CultureInfo.InvariantCulture)));
        Assert.Equal($$"""[{"address":"{{own}}","netmask":"255.255.255.255","family":"IPv4","mac":"{{hardware}}","internal":false,"cidr":"{{own}}/32"}]""", said["eth0"]!.ToJsonString());
    }

    [Theory]
    [InlineData("nodejs:20", OrdinaryNode, "{\"ok\":true}")]
    [InlineData("python:3.11", OrdinaryPython, "{\"ok\": true}\n")]
    public async Task Ordinary_things_go_on(string kind, string code, string body)
    {
        await using var maker = await MakeAsync();
        await using var cell = await StartAsync(maker, kind);
        Assert.Equal(new Said(RuntimeAnswerKind.Answered, true, body, body.Length), await cell.InitAndRunAsync(code, new JsonObject()));
    }

    private static async Task<BubblewrapSandboxMaker> MakeAsync()
    {
        var (maker, reason) = await BubblewrapSandboxMaker.TryCreateAsync(
            new SandboxesOptions(), TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        TestRun.Require(maker is not null, reason);
        return maker;
    }

    private async Task<LiveRuntime> StartAsync(BubblewrapSandboxMaker maker, string kind)
    {
        var recipe = runtimes.Recipe(kind);
        return new LiveRuntime(await maker.StartAsync(recipe.ToSpec(256), TestContext.Current.CancellationToken), recipe.Family, runtimes.Loops, runtimes.Pump);
    }
}
