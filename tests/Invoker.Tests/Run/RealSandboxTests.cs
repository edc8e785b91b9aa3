using Frusta.Contracts.Entities;
using Frusta.Sandboxes;
using Frusta.Sandboxes.Plain;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Invoker.Tests.Run;

/// <summary>The invoker with real processes and our own runners in them.</summary>
public sealed class RealSandboxTests : IAsyncLifetime
{
    private LiveInvoker _invoker = null!;

    public async ValueTask InitializeAsync() =>
        _invoker = await LiveInvoker.StartAsync(new ProcessSandboxMaker(new SandboxesOptions(), TimeProvider.System, NullLogger<ProcessSandboxMaker>.Instance));

    public ValueTask DisposeAsync() => _invoker.DisposeAsync();

    [Fact]
    public async Task Node_runs_cold_and_then_warm_with_its_logs()
    {
        const string Code = "let n = 0; function main(a) { console.log('hello', a.name); return { n: ++n, name: a.name }; }";
        var first = await _invoker.InvokeAsync(Code, """{"name":"x"}""");
        var second = await _invoker.InvokeAsync(Code, """{"name":"y"}""");
        Assert.Equal("""{"n":1,"name":"x"}""", LiveInvoker.Result(first));
        Assert.Equal("""{"n":2,"name":"y"}""", LiveInvoker.Result(second));
        Assert.EndsWith(" stdout: hello y", Assert.Single(second.GetProperty("logs").EnumerateArray()).GetString());
    }

    [Fact]
    public async Task Python_runs()
    {
        var record = await _invoker.InvokeAsync("def main(args):\n    print('hi')\n    return {'sum': args['a'] + 1}\n", """{"a":1}""", kind: "python:3.11");
        Assert.Equal("""{"sum":2}""", LiveInvoker.Result(record));
        Assert.EndsWith(" stdout: hi", Assert.Single(record.GetProperty("logs").EnumerateArray()).GetString());
    }

    [Theory]
    [InlineData(128)]
    [InlineData(512)]
    public async Task Node_looks_for_garbage_before_the_memory_of_its_action_is_used_up(int memoryMb)
    {
        const int GreatestYoungMb = 48;
        var record = await _invoker.InvokeAsync(
            """
            function main() {
              let length = 0;
              for (let i = 0; i < 40; i++) { length += new Array(1000000).fill(i).length; }
              const heap = require('v8').getHeapStatistics();
              return { length, most: heap.heap_size_limit >> 20, used: heap.total_heap_size >> 20 };
            }
            """,
            limits: new ActionLimits(MemoryMb: memoryMb));
        var result = record.GetProperty("response").GetProperty("result");
        Assert.Equal(40_000_000, result.GetProperty("length").GetInt32());
        Assert.InRange(result.GetProperty("most").GetInt32(), OldSpace(memoryMb), OldSpace(memoryMb) + GreatestYoungMb);
        Assert.InRange(result.GetProperty("used").GetInt32(), 1, memoryMb);

        static int OldSpace(int memoryMb) => memoryMb * 7 / 8;
    }

    [Fact]
    public async Task A_heap_may_take_most_of_the_memory_of_its_action()
    {
        var record = await _invoker.InvokeAsync(
            """
            function main() {
              const v8 = require('v8'), kept = [];
              while (v8.getHeapStatistics().used_heap_size < 180 << 20) for (let i = 0; i < 2000; i++) kept.push({ i, of: [i], text: 'x' + i });
              return { kept: kept.length > 0 };
            }
            """);
        Assert.Equal("""{"kept":true}""", LiveInvoker.Result(record));
    }

    [Fact]
    public async Task A_process_that_exits_is_told_at_once()
    {
        var record = await _invoker.InvokeAsync("function main() { console.log('bye'); process.exit(3); }");
        Assert.Equal("""{"error":"The action did not produce a valid response and exited unexpectedly."}""", LiveInvoker.Result(record));
        Assert.True(record.GetProperty("duration").GetInt64() < 1500);
        Assert.Equal(2, record.GetProperty("logs").GetArrayLength());
    }

    [Fact]
    public async Task An_endless_loop_is_ended_and_the_next_call_is_served()
    {
        var record = await _invoker.InvokeAsync("function main(a) { while (!a.stop) { } return a; }", limits: new ActionLimits(TimeoutMs: 500));
        Assert.Equal("""{"error":"The action exceeded its time limits of 500 milliseconds."}""", LiveInvoker.Result(record));
        record = await _invoker.InvokeAsync("function main(a) { while (!a.stop) { } return a; }", """{"stop":true}""", limits: new ActionLimits(TimeoutMs: 500));
        Assert.Equal("""{"stop":true}""", LiveInvoker.Result(record));
    }

    [Fact]
    public async Task Code_that_does_not_load_is_a_developer_error()
    {
        var record = await _invoker.InvokeAsync("function main( {");
        Assert.StartsWith("""{"error":"Initialization has failed due to: SyntaxError""", LiveInvoker.Result(record), StringComparison.Ordinal);
        Assert.Equal("action developer error", record.GetProperty("response").GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_thrown_error_is_a_developer_error_and_a_rejected_promise_an_application_error()
    {
        var thrown = await _invoker.InvokeAsync("function main(a) { throw new Error('no'); }", revision: "1-a");
        Assert.Equal("""{"error":"An error has occurred: Error: no"}""", LiveInvoker.Result(thrown));
        Assert.Equal("action developer error", thrown.GetProperty("response").GetProperty("status").GetString());
        var rejected = await _invoker.InvokeAsync("function main(a) { return Promise.reject({ code: 1 }); }", revision: "2-a");
        Assert.Equal("""{"error":{"code":1}}""", LiveInvoker.Result(rejected));
        Assert.Equal("application error", rejected.GetProperty("response").GetProperty("status").GetString());
    }

    [Fact]
    public async Task Want_of_memory_is_told()
    {
        var record = await _invoker.InvokeAsync(
            "async function main() { const kept = []; for (;;) { kept.push(Buffer.alloc(4 << 20, 1)); await new Promise(r => setTimeout(r, 50)); } }", limits: new ActionLimits(MemoryMb: 128, TimeoutMs: 30_000));
        Assert.Equal("""{"error":"The action exhausted its memory and was aborted."}""", LiveInvoker.Result(record));
    }
}
