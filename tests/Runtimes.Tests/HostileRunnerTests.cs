using Frusta.Runtimes.Manifests;
using Frusta.Sandboxes;

namespace Frusta.Runtimes.Tests;

/// <summary>A runner in Python that sends what no runner of ours sends.</summary>
public sealed class HostileRunnerTests(RuntimeFixture runtimes) : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("hostile-");

    [Theory]
    [InlineData("result(b'{}', identity=bytes(16))")]
    [InlineData("result(b'{}', version=2)")]
    [InlineData("result(b'{}', kind=3)")]
    [InlineData("result(b'{}', kind=77)")]
    [InlineData("result(b'{}', kind=1)")]
    [InlineData("result(b'{}', flags=2)")]
    [InlineData("result(b'', length=0xffffffff)")]
    [InlineData("result(b'', length=1024 * 1024 + 1)")]
    [InlineData("result(b'1234', kind=5)")]
    [InlineData("s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}')")]
    public async Task A_frame_that_is_not_the_awaited_answer_is_a_violation(string misdeed)
    {
        await using var hostile = await StartAsync($"receive(); {misdeed}; receive()");

        var said = await hostile.RunAsync();

        Assert.Equal(new Said(RuntimeAnswerKind.Violated, false, null, 0), said);
        await hostile.Closed.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync()).Kind);
    }

    [Fact]
    public async Task A_second_result_ends_the_client_but_the_first_counts()
    {
        await using var hostile = await StartAsync("receive(); both = frame(b'{}') + frame(b'[]'); s.sendall(both); receive()");

        var said = await hostile.RunAsync();

        Assert.Equal(new Said(RuntimeAnswerKind.Answered, true, "{}", 2), said);
        await hostile.Closed.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task An_answer_before_the_question_ends_the_client()
    {
        await using var hostile = await StartAsync("result(b'{}', identity=bytes(16)); receive()");

        await hostile.Closed.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);

        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync()).Kind);
    }

    [Fact]
    public async Task Frames_in_single_bytes_and_in_one_piece_are_the_same()
    {
        await using var slow = await StartAsync("""
            for body in (b'{}', b'[' + b'1,' * 20000 + b'1]', b'{"a":1}'):
                receive()
                for at in range(0, len(frame(body)), 1 if len(body) < 100 else 999):
                    s.sendall(frame(body)[at:at + (1 if len(body) < 100 else 999)])
            receive()
            """);

        Assert.Equal(2, (await slow.RunAsync()).Length);
        Assert.Equal(40003, (await slow.RunAsync()).Length);
        Assert.Equal("{\"a\":1}", (await slow.RunAsync()).Body);
    }

    [Fact]
    public async Task Half_a_frame_and_the_end_is_an_end()
    {
        await using var hostile = await StartAsync("receive(); s.sendall(frame(b'{}')[:20])");

        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync()).Kind);
    }

    [Fact]
    public async Task Abort_and_answer_at_the_same_time_give_one_of_both()
    {
        await using var echo = await StartAsync("while True: receive(); result(b'{}')");
        var run = echo.RunAsync();

        echo.Client.Abort(RuntimeAnswerKind.TimedOut);

        Assert.True((await run).Kind is RuntimeAnswerKind.TimedOut or RuntimeAnswerKind.Answered);
        Assert.True(echo.Client.IsDead);
        Assert.False(echo.Closed.Task.IsCompleted);
    }

    /// <summary>The memory of a request is another's as soon as its exchange is over.</summary>
    [Fact]
    public async Task An_answer_before_the_request_was_read_brings_no_byte_of_another_request()
    {
        await using var hostile = await StartAsync("""
            import time
            head = exactly(24)
            last = head[8:]
            result(b'{}')
            time.sleep(0.3)
            seen = exactly(struct.unpack('<I', head[:4])[0])
            receive()
            result(b'{"foreign":%d}' % seen.count(b'S'))
            receive()
            """);
        var request = new byte[1_000_000];

        var answer = await hostile.Client.RunAsync(Contracts.Names.ActivationId.New(TimeProvider.System), request, CancellationToken.None);
        Array.Fill(request, (byte)'S');

        Assert.Equal(RuntimeAnswerKind.Answered, answer.Kind);
        Assert.Equal("{\"foreign\":0}", (await hostile.RunAsync()).Body);
    }

    [Fact]
    public async Task An_early_answer_of_a_process_that_never_reads_ends_with_the_time()
    {
        await using var hostile = await StartAsync("head = exactly(24); last = head[8:]; result(b'{}'); import time; time.sleep(60)");
        var run = hostile.Client.RunAsync(Contracts.Names.ActivationId.New(TimeProvider.System), new byte[1_000_000], CancellationToken.None);

        hostile.Client.Abort(RuntimeAnswerKind.TimedOut);

        Assert.Equal(RuntimeAnswerKind.TimedOut, (await run).Kind);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private async Task<LiveRuntime> StartAsync(string script)
    {
        var file = Path.Combine(_folder.FullName, "hostile.py");
        await File.WriteAllTextAsync(file, $$"""
            import socket, struct, sys
            s = socket.socket(socket.AF_UNIX)
            s.connect(sys.argv[1])
            last = bytes(16)
            def frame(body, kind=4, flags=0, version=1, identity=None, length=None):
                return struct.pack('<IBBBB16s', len(body) if length is None else length, version, kind, flags, 0, identity or last) + body
            def result(*a, **k):
                s.sendall(frame(*a, **k))
            def exactly(n):
                b = b''
                while len(b) < n:
                    part = s.recv(n - len(b))
                    if not part:
                        sys.exit()
                    b += part
                return b
            def receive():
                global last
                head = exactly(24)
                last = head[8:]
                exactly(struct.unpack('<I', head[:4])[0])
            result(b'{}', kind=1)
            {{script}}
            """, TestContext.Current.CancellationToken);
        return await runtimes.StartAsync(new RuntimeRecipe(
            "hostile", RuntimeFamily.NodeJs, ["/usr/bin/python3", file, "{channel}"], new Dictionary<string, string>(StringComparer.Ordinal), [new SandboxMount(file, file)], true));
    }
}
