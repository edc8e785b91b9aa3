using Frusta.Runtimes.Families;
using Frusta.Runtimes.Frames;
using Frusta.Sandboxes;

namespace Frusta.Runtimes.Tests;

/// <summary>A runner in Python that sends what no runner of ours sends.</summary>
public sealed class HostileRunnerTests(RuntimeFixture runtimes) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

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
    [InlineData("send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}')")]
    public async Task A_frame_that_is_not_the_awaited_answer_is_a_violation(string misdeed)
    {
        await using var hostile = await StartAsync($"receive(); {misdeed}; receive()");

        var said = await hostile.RunAsync();

        Assert.Equal(new Said(RuntimeAnswerKind.Violated, false, null, 0), said);
        await hostile.ClosedAsync();
        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync()).Kind);
    }

    [Fact]
    public async Task A_second_result_ends_the_client_but_the_first_counts()
    {
        await using var hostile = await StartAsync("receive(); both = frame(b'{}') + frame(b'[]'); send(both); receive()");

        var said = await hostile.RunAsync();

        Assert.Equal(new Said(RuntimeAnswerKind.Answered, true, "{}", 2), said);
        await hostile.ClosedAsync();
    }

    [Fact]
    public async Task An_answer_before_the_question_ends_the_client()
    {
        await using var hostile = await StartAsync("result(b'{}', identity=bytes(16)); receive()");

        await hostile.ClosedAsync();

        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync()).Kind);
    }

    [Fact]
    public async Task Frames_in_single_bytes_and_in_one_piece_are_the_same()
    {
        await using var slow = await StartAsync("""
            for body in (b'{}', b'[' + b'1,' * 20000 + b'1]', b'{"a":1}'):
                receive()
                for at in range(0, len(frame(body)), 1 if len(body) < 100 else 999):
                    send(frame(body)[at:at + (1 if len(body) < 100 else 999)])
            receive()
            """);

        Assert.Equal(2, (await slow.RunAsync()).Length);
        Assert.Equal(40003, (await slow.RunAsync()).Length);
        Assert.Equal("{\"a\":1}", (await slow.RunAsync()).Body);
    }

    [Fact]
    public async Task Half_a_frame_and_the_end_is_an_end()
    {
        await using var hostile = await StartAsync("receive(); send(frame(b'{}')[:20])");

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
    }

    /// <summary>The memory of a request is another's as soon as its exchange is over.</summary>
    [Fact]
    public async Task An_answer_before_the_request_was_read_brings_no_byte_of_another_request()
    {
        await using var hostile = await StartAsync("""
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
        await using var hostile = await StartAsync("head = exactly(24); last = head[8:]; result(b'{}'); time.sleep(60)");
        var run = hostile.Client.RunAsync(Contracts.Names.ActivationId.New(TimeProvider.System), new byte[1_000_000], CancellationToken.None);

        hostile.Client.Abort(RuntimeAnswerKind.TimedOut);

        Assert.Equal(RuntimeAnswerKind.TimedOut, (await run).Kind);
    }

    /// <summary>
    /// Through a socket the descriptor would have come, the host's own call would have closed it, and that close lasts as long as the connection lingers.
    /// </summary>
    [Fact]
    public async Task No_descriptor_can_be_passed_to_the_host()
    {
        await using var neighbour = await StartAsync("while True: receive(); result(b'{}')");
        await using var hostile = await StartAsync("""
            import array, errno
            listener = socket.create_server(('127.0.0.1', 0))
            lingering = socket.create_connection(listener.getsockname())
            lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 3600))
            lingering.setblocking(False)
            try:
                while True: lingering.send(bytes(65536))
            except BlockingIOError: pass
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [lingering.fileno()]))]
            receive()
            refusals = []
            for descriptor in (3, 4):
                try: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=descriptor).sendmsg([b'x'], passed)
                except OSError as e: refusals.append(errno.errorcode[e.errno])
            result(('{"said":"%s"}' % ' '.join(refusals)).encode())
            receive()
            """);

        var said = await hostile.RunAsync();

        Assert.Equal("{}", (await neighbour.RunAsync().WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken)).Body);
        Assert.Equal("{\"said\":\"ENOTSOCK ENOTSOCK\"}", said.Body);
    }

    [Theory]
    [InlineData("fcntl.fcntl(end, fcntl.F_SETFL, os.O_NONBLOCK)")]
    [InlineData("fcntl.fcntl(end, fcntl.F_SETFL, os.O_DIRECT)")]
    [InlineData("fcntl.fcntl(end, fcntl.F_SETFL, os.O_DIRECT | os.O_NONBLOCK)")]
    [InlineData("fcntl.fcntl(end, 1031, 1 << 20)")]
    [InlineData("fcntl.fcntl(end, 1031, 4096)")]
    public async Task What_a_runner_does_to_its_ends_of_the_pipes_harms_nobody(string misdeed)
    {
        await using var neighbour = await StartAsync("while True: receive(); result(b'{}')");
        await using var hostile = await StartAsync($$"""
            import select
            def exactly(n):
                b = b''
                while len(b) < n:
                    select.select([3], [], [])
                    b += os.read(3, n - len(b))
                return b
            for end in (3, 4):
                {{misdeed}}
            while True:
                receive()
                result(b'{}')
            """);

        for (var run = 0; run < 3; run++)
        {
            Assert.Equal("{}", (await hostile.RunAsync()).Body);
            Assert.Equal("{}", (await hostile.RunAsync(new string('x', 500_000))).Body);
            Assert.Equal("{}", (await neighbour.RunAsync()).Body);
        }
    }

    /// <summary>Pages of a file come through the pipe, and nothing of the file itself.</summary>
    [Fact]
    public async Task An_answer_that_is_spliced_from_a_file_is_an_answer_like_others()
    {
        await using var hostile = await StartAsync("""
            while True:
                receive()
                with open('answer', 'wb') as file: file.write(frame(b'[' + b'1,' * 10000 + b'1]'))
                size = os.path.getsize('answer')
                file = os.open('answer', os.O_RDWR)
                while size: size -= os.splice(file, 4, size)
            """);

        for (var run = 0; run < 3; run++)
        {
            var said = await hostile.RunAsync();
            Assert.Equal((RuntimeAnswerKind.Answered, 20003), (said.Kind, said.Length));
        }
    }

    /// <summary>Each packet is received by itself, so that an answer in several comes only when the next is written.</summary>
    [Fact]
    public async Task An_answer_in_packets_that_stays_behind_ends_with_the_time_and_holds_up_nobody()
    {
        await using var neighbour = await StartAsync("while True: receive(); result(b'{}')");
        await using var hostile = await StartAsync("fcntl.fcntl(4, fcntl.F_SETFL, os.O_DIRECT); receive(); os.write(4, frame(b'x' * 60000)); time.sleep(60)");
        var run = hostile.RunAsync();

        Assert.Equal("{}", (await neighbour.RunAsync()).Body);
        hostile.Client.Abort(RuntimeAnswerKind.TimedOut);

        Assert.True((await run).Kind is RuntimeAnswerKind.TimedOut or RuntimeAnswerKind.Answered);
    }

    [Fact]
    public async Task A_runner_that_reads_no_more_ends_its_exchange()
    {
        await using var hostile = await StartAsync("os.close(3); time.sleep(60)");

        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync(new string('x', 1_000_000))).Kind);
        await hostile.ClosedAsync();
    }

    [Fact]
    public async Task A_runner_that_writes_no_more_ends_its_exchange()
    {
        await using var hostile = await StartAsync("receive(); os.close(4); time.sleep(60)");

        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync()).Kind);
    }

    [Fact]
    public async Task The_end_of_a_process_that_has_read_half_of_its_request_ends_the_exchange()
    {
        await using var hostile = await StartAsync("""
            exactly(100_000)
            while struct.unpack('i', fcntl.ioctl(3, 0x541b, bytes(4)))[0] < 60_000: time.sleep(0.01)
            os._exit(9)
            """);

        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync(new string('x', 2_000_000))).Kind);
        Assert.Equal(RuntimeAnswerKind.Closed, (await hostile.RunAsync()).Kind);
    }

    /// <summary>Where a sandbox has no user of its own, its processes may open the other direction of its pipes.</summary>
    [Theory]
    [InlineData("os.write(os.open('/proc/self/fd/3', os.O_WRONLY), frame(b'{}', kind=3)); receive(); last = taken; result(b'{}'); receive()")]
    [InlineData("back = os.open('/proc/self/fd/4', os.O_RDONLY); os.write(4, frame(b'{}')); os.read(back, 99); last = taken; result(b'{}'); receive()")]
    public async Task Who_reads_and_writes_its_own_pipes_the_wrong_way_round_fools_itself_alone(string misdeed)
    {
        await using var neighbour = await StartAsync("while True: receive(); result(b'{}')");
        await using var hostile = await StartAsync($"receive(); taken = last; {misdeed}");

        var said = await hostile.RunAsync();

        Assert.True(said.Kind is RuntimeAnswerKind.Answered or RuntimeAnswerKind.Violated or RuntimeAnswerKind.Closed);
        Assert.Equal("{}", (await neighbour.RunAsync()).Body);
    }

    /// <summary>What is done with an answer takes as long as it is.</summary>
    [Theory]
    [InlineData(1000, true)]
    [InlineData(64 * 1024, true)]
    [InlineData((64 * 1024) + 1, false)]
    [InlineData(1024 * 1024, false)]
    public async Task A_long_answer_is_handed_out_on_another_thread_than_the_loops(int length, bool onTheLoop)
    {
        await using var echo = await StartAsync($"while True: receive(); time.sleep(0.1); result(b'x' * {length})");

        var (thread, received) = await echo.RunToThreadAsync();

        Assert.Equal((onTheLoop, length), (thread?.StartsWith("sockets", StringComparison.Ordinal) == true, received));
    }

    [Fact]
    public async Task Answers_without_pause_leave_their_turn_to_the_neighbours()
    {
        const int Runs = 300;
        await using var neighbour = await StartAsync("while True: receive(); result(b'{}')");
        await using var hostile = await StartAsync("""
            fcntl.fcntl(4, 1031, 1 << 20)
            body = b'x' * (1024 * 1024)
            while True: receive(); result(body)
            """);
        using var enough = new CancellationTokenSource();
        var flood = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                Assert.Equal(RuntimeAnswerKind.Answered, (await hostile.RunAsync()).Kind);
            }
        }, TestContext.Current.CancellationToken);

        for (var run = 0; run < Runs; run++)
        {
            Assert.Equal("{}", (await neighbour.RunAsync()).Body);
        }

        await enough.CancelAsync();
        await flood;
    }

    public void Dispose() => _folder.Dispose();

    private async Task<LiveRuntime> StartAsync(string script)
    {
        var file = _folder.Sub("hostile.py");
        await File.WriteAllTextAsync(file, $$"""
            import fcntl, os, socket, struct, sys, time
            last = bytes(16)
            def frame(body, kind=4, flags=0, version=1, identity=None, length=None):
                return struct.pack('<IBBBB16s', len(body) if length is None else length, version, kind, flags, 0, identity or last) + body
            def send(b):
                while b:
                    b = b[os.write(4, b):]
            def result(*a, **k):
                send(frame(*a, **k))
            def exactly(n):
                b = b''
                while len(b) < n:
                    part = os.read(3, n - len(b))
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
            "hostile", new HostileFamily(), "/usr/bin/python3", [file], new Dictionary<string, string>(StringComparer.Ordinal), [new SandboxMount(file, file)]));
    }

    /// <summary>Python as far as its process is concerned, but nothing is said at its end.</summary>
    private sealed class HostileFamily : RuntimeFamily
    {
        public override string Name => "hostile";

        public override string Title => Name;

        public override IReadOnlyList<string> Kinds => [Name];

        public override int StemCells => 0;

        internal override bool AddressSpaceMayBeLimited => true;

        internal override WordsOfEnd WordsOfEnd => WordsOfEnd.None;

        internal override string Runner => throw new NotSupportedException();

        internal override Version LeastVersion => throw new NotSupportedException();

        internal override string ProgramOf(RuntimesOptions options) => throw new NotSupportedException();
    }
}
