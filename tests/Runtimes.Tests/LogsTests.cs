using System.Text.Json.Nodes;

namespace Frusta.Runtimes.Tests;

public sealed class LogsTests(RuntimeFixture runtimes)
{
    [Fact]
    public async Task Output_at_load_belongs_to_the_first_run_and_a_silent_run_has_none()
    {
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAndRunAsync("console.log('loading'); function main(a) { if (!a.quiet) console.log('running'); return {}; }");
        Assert.Equal(["stdout: loading", "stdout: running"], node.Logs);

        await node.RunAsync(new JsonObject { ["quiet"] = true });

        Assert.Empty(node.Logs);
    }

    [Fact]
    public async Task Thousands_of_lines_are_complete_and_in_order_at_once_after_the_answer()
    {
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAsync("function main(a) { for (let i = 0; i < a.n; i++) { console.log('line ' + i); } console.error('done'); return {}; }");
        foreach (var count in (int[])[5000, 1, 20000])
        {
            await node.RunAsync(new JsonObject { ["n"] = count });

            var output = node.Logs.Where(static line => line.StartsWith("stdout", StringComparison.Ordinal)).ToArray();
            Assert.Equal(Enumerable.Range(0, count).Select(static i => $"stdout: line {i}").ToArray(), output);
            Assert.Equal(count + 1, node.Logs.Length);
        }
    }

    [Fact]
    public async Task Text_of_any_kind_comes_as_it_was_written()
    {
        await using var node = await runtimes.StartNodeAsync();

        await node.InitAndRunAsync("""
            function main() {
              console.log('Grüße ★ 😀 "quoted" \\ back\t<b>\u0001');
              console.log('');
              process.stdout.write(Buffer.from([0x61, 0xff, 0xc3, 0x0a, 0x20, 0x62]));
              return {};
            }
            """);

        Assert.Equal(["stdout: Grüße ★ 😀 \"quoted\" \\ back\t<b>\u0001", "stdout: ", "stdout: a\uFFFD\uFFFD", "stdout:  b"], node.Logs);
    }

    [Fact]
    public async Task A_long_line_comes_in_pieces()
    {
        await using var node = await runtimes.StartNodeAsync();
        node.LogLimit = 71 + 1000 + (3 * (69 + 16384)) + 71 + (2 * (71 + 5)) + 69 + 16384;
        await node.InitAsync("""
            function main(a) {
              if (a.whole) { console.log('w'.repeat(16384 * 100)); return {}; }
              console.log('a'.repeat(1000));
              console.log('b'.repeat(16384 * 3)); // ends where a piece does
              console.log('after');
              process.stdout.write('c'.repeat(16384));
              process.stdout.write('rest.');
              return {};
            }
            """);

        await node.RunAsync();

        Assert.Equal([1000, 16384, 16384, 16384, 0, 5, 16384, 5], node.Logs.Select(static line => line.Length - "stdout: ".Length));
        Assert.Equal(("stdout: ", "stdout: after", "stdout: rest."), (node.Logs[4], node.Logs[5], node.Logs[7]));
        Assert.False(node.LogsTruncated);

        await node.RunAsync(new JsonObject { ["whole"] = true });
        Assert.Equal(5, node.Logs.Length);
        Assert.True(node.LogsTruncated);
    }

    [Fact]
    public async Task Lines_up_to_the_limit_are_kept_and_those_beyond_are_dropped()
    {
        await using var node = await runtimes.StartNodeAsync();
        node.LogLimit = 10 * (71 + 100);
        await node.InitAsync("function main(a) { for (let i = 0; i < a.n; i++) console.log('x'.repeat(100)); return {}; }");

        await node.RunAsync(new JsonObject { ["n"] = 10 });
        Assert.Equal((10, false), (node.Logs.Length, node.LogsTruncated));

        await node.RunAsync(new JsonObject { ["n"] = 200_000 });
        Assert.Equal((11, true), (node.Logs.Length, node.LogsTruncated));
        Assert.Equal("stderr: Logs were truncated because the total bytes size exceeds the limit of 1710 bytes.", node.Logs[^1]);

        await node.RunAsync(new JsonObject { ["n"] = 1 });
        Assert.Single(node.Logs);
    }

    [Fact]
    public async Task Escapes_count_as_they_do_in_a_log_file()
    {
        await using var node = await runtimes.StartNodeAsync();
        node.LogLimit = 71 + 6 + 2 + 6 + 3;
        await node.InitAsync("""function main(a) { console.log('<"\u0001' + a.end); return {}; }""");

        await node.RunAsync(new JsonObject { ["end"] = "★" });
        Assert.False(node.LogsTruncated);

        await node.RunAsync(new JsonObject { ["end"] = "★." });
        Assert.True(node.LogsTruncated);
    }

    /// <summary>Whatever it is written with, and however many silent runs were before (docs/decisions/0008-quiet-output.md).</summary>
    [Theory]
    [InlineData("console.log(a.line)")]
    [InlineData("console.error(a.line)")]
    [InlineData("require('fs').writeSync(1, a.line + '\\n')")]
    [InlineData("require('child_process').spawnSync('echo', [a.line], { stdio: 'inherit' })")]
    public async Task Each_run_has_the_line_that_it_wrote_after_any_number_of_silent_ones(string write)
    {
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAsync($"function main(a) {{ if (a.line) {{ {write}; }} return {{}}; }}");
        var isError = write.StartsWith("console.error", StringComparison.Ordinal);
        for (var silent = 0; silent < 24; silent++)
        {
            for (var run = 0; run < silent; run++)
            {
                await node.RunAsync();
                Assert.Empty(node.Logs);
            }

            for (var run = 0; run < 1 + (silent % 3); run++)
            {
                await node.RunAsync(new JsonObject { ["line"] = $"line {silent}.{run}" });
                Assert.Equal([$"{(isError ? "stderr" : "stdout")}: line {silent}.{run}"], node.Logs);
            }
        }
    }

    [Fact]
    public async Task A_python_function_that_was_silent_for_long_has_its_line_too()
    {
        await using var python = await runtimes.StartPythonAsync();
        await python.InitAsync("""
            import os
            def main(a):
                if 'line' in a:
                    os.write(2, a['line'].encode())
                    print(a['line'])
                return {}
            """);
        for (var silent = 0; silent < 20; silent++)
        {
            for (var run = 0; run < silent; run++)
            {
                await python.RunAsync();
                Assert.Empty(python.Logs);
            }

            await python.RunAsync(new JsonObject { ["line"] = $"line {silent}" });
            Assert.Equal([$"stdout: line {silent}", $"stderr: line {silent}"], python.Logs);
        }
    }

    [Fact]
    public async Task What_waits_in_an_enlarged_pipe_is_complete_too()
    {
        await using var python = await runtimes.StartPythonAsync();
        await python.InitAsync("""
            import fcntl, os
            enlarge = 1031
            fcntl.fcntl(1, enlarge, 1 << 20)
            def main(a):
                os.write(1, (('x' * 99 + '\n') * 10000).encode())
                return {}
            """);
        for (var run = 0; run < 20; run++)
        {
            await python.RunAsync();
            Assert.Equal(10_000, python.Logs.Length);
        }
    }

    [Fact]
    public async Task Without_a_limit_for_logs_nothing_is_kept()
    {
        await using var node = await runtimes.StartNodeAsync();
        node.LogLimit = 0;

        await node.InitAndRunAsync("function main() { console.log('unseen'.repeat(100000)); return {}; }");

        Assert.Empty(node.Logs);
    }

    [Fact]
    public async Task A_line_without_end_that_never_stops_is_held_to_the_limit()
    {
        await using var node = await runtimes.StartNodeAsync();
        node.LogLimit = 1024 * 1024;

        await node.InitAndRunAsync("function main() { const b = Buffer.alloc(1 << 20, 120); for (let i = 0; i < 64; i++) require('fs').writeSync(1, b); return {}; }");

        Assert.Equal(64, node.Logs.Length); // as many pieces of 16 KiB as fit
        Assert.Equal("stderr: Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes.", node.Logs[^1]);
    }

    [Fact]
    public async Task Output_before_an_aborted_run_is_kept_and_the_warning_added()
    {
        await using var node = await runtimes.StartNodeAsync();
        await node.InitAsync("function main() { require('fs').writeSync(1, 'start\\n'); for (;;) { } }");
        var run = node.RunAsync();
        await WaitForOutputAsync(node);

        node.Client.Abort(RuntimeAnswerKind.TimedOut);

        Assert.Equal(RuntimeAnswerKind.TimedOut, (await run).Kind);
        Assert.Equal(["stdout: start"], node.Logs);
        node.TakeLogs(failed: true);
        Assert.Empty(node.Logs); // the limit is the run's, and there is none between runs
    }

    /// <summary>The pipe is readable as soon as user code has run.</summary>
    private static Task WaitForOutputAsync(LiveRuntime node) => Eventually.TrueAsync(() => node.HasOutput);
}
