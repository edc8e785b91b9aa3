using System.Text.Json.Nodes;

namespace Frusta.Runtimes.Tests;

public sealed class PythonRunnerTests(RuntimeFixture runtimes)
{
    private const string NotADictionary = "{\"error\":\"The action did not return a dictionary or array.\"}\n";
    private const string Exited = "{\"error\":\"command exited\"}\n";
    private const string CannotStart = "{\"error\":\"Cannot start action. Check logs for details.\"}\n";
    private const string FailedToGenerate = "{\"error\":\"The action failed to generate or locate a binary. See logs for details.\"}\n";

    [Theory]
    [InlineData("return a", true, "{\"name\": \"Jané\"}\n")]
    [InlineData("return ('a', 'b')", true, "[\"a\", \"b\"]\n")]
    [InlineData("return None", true, "null\n")]
    [InlineData("pass", true, "null\n")]
    [InlineData("return 7", false, NotADictionary)]
    [InlineData("return 'text'", false, NotADictionary)]
    [InlineData("return {'x': float('nan')}", false, NotADictionary)]
    [InlineData("return {'x': [float('inf')]}", false, NotADictionary)]
    [InlineData("return {'s': {1, 2}}", false, Exited)]
    [InlineData("a['a'] = a; return a", false, Exited)]
    [InlineData("return {'s': '\\ud800'}", false, Exited)]
    [InlineData("return {'x': 1 / 0}", true, "{\"error\": \"division by zero\"}\n")]
    [InlineData("return {'x': a['nope']}", true, "{\"error\": \"'nope'\"}\n")]
    [InlineData("import sys; sys.exit(3)", false, Exited)]
    [InlineData("import os, sys\n    pid = os.fork()\n    if pid == 0: sys.exit(3)\n    return {'child': os.waitpid(pid, 0)[1] >> 8}", true, "{\"child\": 3}\n")]
    [InlineData("import os\n    pid = os.fork()\n    if pid: os.waitpid(pid, 0)\n    return {'mine': pid > 0}", true, "{\"mine\": true}\n")]
    public async Task A_result_is_answered_as_the_proxy_and_its_launcher_answer(string body, bool ok, string answer)
    {
        await using var python = await runtimes.StartPythonAsync();

        var said = await python.InitAndRunAsync($"def main(a):\n    {body}\n", new JsonObject { ["name"] = "Jané" });

        Assert.Equal((RuntimeAnswerKind.Answered, ok, answer), (said.Kind, said.Ok, said.Body));
    }

    [Theory]
    [InlineData("def main(a)\n    return {}\n", FailedToGenerate, "stderr: expected ':'")]
    [InlineData("return 5\n", CannotStart, "stderr: Command exited abruptly during initialization.")]
    [InlineData("import no_such_module_zz\ndef main(a):\n    return {}\n", CannotStart, "stderr: Command exited abruptly during initialization.")]
    [InlineData("import sys\nsys.exit(3)\n", CannotStart, "stderr: Command exited abruptly during initialization.")]
    [InlineData("def other(a):\n    return {}\n", CannotStart, "stderr: Command exited abruptly during initialization.")]
    [InlineData("#!/usr/bin/env python3\ndef main(a):\n    return {}\n", CannotStart, "stderr: open ./action/1/bin/exec.env: no such file or directory")]
    [InlineData("", "{\"error\":\"Missing main/no code to execute.\"}\n", null)]
    public async Task Code_that_does_not_load_fails_the_init_and_the_log_says_why(string code, string answer, string? lastLine)
    {
        await using var python = await runtimes.StartPythonAsync();

        var said = await python.InitAsync(code);

        Assert.Equal((RuntimeAnswerKind.Answered, false, answer), (said.Kind, said.Ok, said.Body));
        Assert.Equal(lastLine, python.Logs.LastOrDefault());
    }

    [Fact]
    public async Task Child_processes_do_not_hold_the_channel()
    {
        const string Code = """
            import os, subprocess
            def main(a):
                os.waitpid(os.posix_spawn('/bin/sh', ['sh', '-c', 'ls -l /proc/self/fd > held'], {}), 0)
                held = open('held').read() + subprocess.check_output(['/bin/ls', '-l', '/proc/self/fd'], close_fds=False, text=True)
                return {'channel': [os.readlink('/proc/self/fd/%d' % fd) for fd in (3, 4)], 'held': held}
            """;
        await using var python = await runtimes.StartPythonAsync();

        var said = JsonNode.Parse((await python.InitAndRunAsync(Code)).Body!)!;

        Assert.All(said["channel"]!.AsArray(), end => Assert.Matches(@"^pipe:\[\d+\]$", end!.GetValue<string>()));
        Assert.All(said["channel"]!.AsArray(), end => Assert.DoesNotContain(end!.GetValue<string>(), said["held"]!.GetValue<string>(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_main_that_is_no_function_fails_each_run_and_leaves_the_sandbox_as_it_is()
    {
        await using var python = await runtimes.StartPythonAsync();

        var said = await python.InitAndRunAsync("main = None\n");

        Assert.Equal((true, "{\"error\": \"'NoneType' object is not callable\"}\n"), (said.Ok, said.Body));
        Assert.Equal(said, await python.RunAsync());
    }

    [Fact]
    public async Task An_exception_leaves_its_traceback_in_the_log_without_frames_of_ours()
    {
        await using var python = await runtimes.StartPythonAsync();

        await python.InitAndRunAsync("def inner():\n    raise ValueError('no luck')\ndef main(a):\n    inner()\n");

        Assert.Equal("stderr: Traceback (most recent call last):", python.Logs[0]);
        Assert.Contains(python.Logs, static line => line.Equals("stderr:     raise ValueError('no luck')", StringComparison.Ordinal));
        Assert.Equal(["stderr: ValueError: no luck", "stderr: "], python.Logs[^2..]);
        Assert.DoesNotContain(python.Logs, line => line.Contains("runner.py", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("def main():\n    return {}\n", "stderr: TypeError: main() takes 0 positional arguments but 1 was given")]
    [InlineData("return 5\n", "stderr: SyntaxError: 'return' outside function")]
    [InlineData("x = 1\n", "stderr: ImportError: cannot import name 'main' from 'main__' (*")]
    public async Task A_traceback_has_its_head_even_without_a_frame_of_the_action(string code, string line)
    {
        await using var python = await runtimes.StartPythonAsync();

        if ((await python.InitAsync(code)).Ok)
        {
            await python.RunAsync();
        }

        Assert.Equal("stderr: Traceback (most recent call last):", python.Logs[0]);
        Assert.Contains(python.Logs, log => line.EndsWith('*') ? log.StartsWith(line[..^1], StringComparison.Ordinal) : log.Equals(line, StringComparison.Ordinal));
        Assert.DoesNotContain(python.Logs, static log => log.Contains("runner.py", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_action_that_leaves_no_descriptor_has_its_error_all_the_same()
    {
        await using var python = await runtimes.StartPythonAsync();

        var said = await python.InitAndRunAsync("""
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            held = []
            def main(a):
                while True:
                    held.append(open('/dev/null'))
            """);

        Assert.Equal((RuntimeAnswerKind.Answered, true, "{\"error\": \"[Errno 24] Too many open files: '/dev/null'\"}\n"), (said.Kind, said.Ok, said.Body));
        Assert.Equal("stderr: Traceback (most recent call last):", python.Logs[0]);
        Assert.EndsWith("line 6, in main", python.Logs[1], StringComparison.Ordinal);
        Assert.Equal(["stderr: OSError: [Errno 24] Too many open files: '/dev/null'", "stderr: "], python.Logs[2..]);
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("if pid == 0: sys.exit(3)", 3)]
    [InlineData("if pid == 0: raise ValueError()", 1)]
    public async Task A_process_that_is_forked_off_at_load_ends_where_the_init_does(string then, int code)
    {
        await using var python = await runtimes.StartPythonAsync();

        var said = await python.InitAndRunAsync($"""
            import os, sys
            pid = os.fork()
            {then}
            ended = pid and os.waitpid(pid, 0)[1] >> 8
            def main(a):
                return [pid > 0, ended]
            """);

        Assert.Equal((RuntimeAnswerKind.Answered, true, $"[true, {code}]\n"), (said.Kind, said.Ok, said.Body));
    }

    [Fact]
    public async Task A_process_that_ends_hard_is_said_to_have_exited()
    {
        await using var python = await runtimes.StartPythonAsync();

        var said = await python.InitAndRunAsync("import os\ndef main(a):\n    os._exit(1)\n");

        Assert.Equal((RuntimeAnswerKind.Closed, Exited), (said.Kind, said.Body));
    }

    [Fact]
    public async Task A_named_function_and_globals_that_survive()
    {
        await using var python = await runtimes.StartPythonAsync();
        await python.InitAsync("n = 0\ndef niam(a):\n    global n\n    n += 1\n    return {'n': n}\n", main: "niam");

        Assert.Equal("{\"n\": 1}\n", (await python.RunAsync()).Body);
        Assert.Equal("{\"n\": 2}\n", (await python.RunAsync()).Body);
        Assert.Equal("{\"error\":\"Cannot initialize the action more than once.\"}\n", (await python.InitAsync("def main(a): pass")).Body);
    }

    [Fact]
    public async Task Init_variables_are_there_at_import_and_each_run_brings_its_own()
    {
        await using var python = await runtimes.StartPythonAsync();
        var env = new JsonObject { ["COLOR"] = "blue", ["OBJ"] = "{\"k\":[1]}" };
        await python.InitAsync("import os\nearly = [os.environ.get('COLOR'), os.environ.get('OBJ')]\ndef main(a):\n    return {'early': early, 'id': os.environ['__OW_ACTIVATION_ID']}\n", env: env);
        var id = Contracts.Names.ActivationId.New(TimeProvider.System);
        await python.RunAsync();

        var said = await python.RunAsync(id: id);

        Assert.Equal($"{{\"early\": [\"blue\", \"{{\\\"k\\\":[1]}}\"], \"id\": \"{id}\"}}\n", said.Body);
    }

    [Theory]
    [InlineData(1024 * 1024 - 10, RuntimeAnswerKind.Answered)]
    [InlineData(1024 * 1024 - 9, RuntimeAnswerKind.TooLarge)]
    public async Task A_result_over_the_limit_comes_with_its_length_and_its_beginning(int length, RuntimeAnswerKind kind)
    {
        await using var python = await runtimes.StartPythonAsync();
        await python.InitAsync("def main(a):\n    return {'m': 'b' * a['n']}\n");

        var said = await python.RunAsync(new JsonObject { ["n"] = length });

        Assert.Equal((kind, length + 10L), (said.Kind, said.Length));
        Assert.Equal(Math.Min(length + 10, LiveRuntimes.MaxResultBytes), said.Body!.Length);
    }

    [Fact]
    public async Task A_request_of_megabytes_arrives_whole_and_the_next_small_one_too()
    {
        await using var python = await runtimes.StartPythonAsync();

        var said = await python.InitAndRunAsync("def main(a):\n    return {'length': len(a.get('text', ''))}\n", new JsonObject { ["text"] = new string('é', 2_000_000) });

        Assert.Equal("{\"length\": 2000000}\n", said.Body);
        Assert.Equal("{\"length\": 0}\n", (await python.RunAsync()).Body);
    }

    [Fact]
    public async Task All_ways_to_write_reach_the_log()
    {
        await using var python = await runtimes.StartPythonAsync();

        await python.InitAndRunAsync("import os, subprocess, sys\nprint('importing')\ndef main(a):\n    print('printed')\n    sys.stdout.flush()\n    os.write(1, b'written\\n')\n    subprocess.run(['/bin/echo', 'echoed'])\n    print('to stderr', file=sys.stderr)\n    return {}\n");

        // Each stream keeps its order; between the two there is none.
        Assert.Equal((string[])["stdout: importing", "stdout: printed", "stdout: written", "stdout: echoed"], [.. python.Logs.Where(line => line.StartsWith("stdout", StringComparison.Ordinal))], StringComparer.Ordinal);
        Assert.Equal((string[])["stderr: to stderr"], [.. python.Logs.Where(line => line.StartsWith("stderr", StringComparison.Ordinal))], StringComparer.Ordinal);
    }
}
