using System.Globalization;
using Frusta.Sandboxes.Bubblewrap;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>What would have the kernel hold memory that nobody counts is refused in the words of a kernel that does not have it.</summary>
public sealed class RefusalTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    private const string Calls = "(lambda number, *a: __import__('ctypes').CDLL(None, use_errno=True).syscall({'x86_64': number[0], 'aarch64': number[1]}[os.uname().machine], *a) and __import__('ctypes').get_errno())";
    private const string Tcp = "socket.socket(socket.AF_INET, socket.SOCK_STREAM)";
    private const string Udp = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)";
    private const string Udp6 = "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)";

    [Theory]
    [InlineData("netlink", "socket.socket(16, socket.SOCK_RAW, 0)", 97)]
    [InlineData("AF_ALG", "socket.socket(38, socket.SOCK_SEQPACKET, 0)", 97)]
    [InlineData("ICMP", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)", 93)]
    [InlineData("MSG_MORE", Udp + ".sendto(b'a', 0x8000, ('127.0.0.1', 9))", 95)]
    [InlineData("MSG_MORE of sendmsg", Udp + ".sendmsg([b'a'], [], 0x8000, ('127.0.0.1', 9))", 95)]
    [InlineData("MPTCP", "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)", 93)]
    [InlineData("SO_ATTACH_FILTER", Tcp + ".setsockopt(socket.SOL_SOCKET, 26, bytes(16))", 92)]
    [InlineData("SO_ATTACH_BPF", Tcp + ".setsockopt(socket.SOL_SOCKET, 50, 1)", 92)]
    [InlineData("SO_ATTACH_REUSEPORT_CBPF", Udp + ".setsockopt(socket.SOL_SOCKET, 51, bytes(16))", 92)]
    [InlineData("SO_RCVLOWAT", Tcp + ".setsockopt(socket.SOL_SOCKET, 18, 1 << 30)", 92)]
    [InlineData("SO_TIMESTAMPING", Udp + ".setsockopt(socket.SOL_SOCKET, 37, 0x12)", 92)]
    [InlineData("SO_TIMESTAMPING of 64 bits", Tcp + ".setsockopt(socket.SOL_SOCKET, 65, 0x12)", 92)]
    [InlineData("SO_TXTIME", Udp + ".setsockopt(socket.SOL_SOCKET, 61, bytes([1, 0, 0, 0, 2, 0, 0, 0]))", 92)]
    [InlineData("SO_WIFI_STATUS", Udp + ".setsockopt(socket.SOL_SOCKET, 41, 1)", 92)]
    [InlineData("IP_RECVERR_RFC4884", Udp + ".setsockopt(socket.IPPROTO_IP, 26, 1)", 92)]
    [InlineData("IPV6_RECVERR_RFC4884", Udp6 + ".setsockopt(41, 31, 1)", 92)]
    [InlineData("UDP_CORK", Udp + ".setsockopt(17, 1, 1)", 92)]
    [InlineData("UDP_ENCAP", Udp + ".setsockopt(17, 100, 2)", 92)]
    [InlineData("TCP_ULP", Tcp + ".setsockopt(socket.IPPROTO_TCP, 31, b'tls')", 92)]
    [InlineData("TCP_MD5SIG", Tcp + ".setsockopt(socket.IPPROTO_TCP, 14, bytes(216))", 92)]
    [InlineData("a level of its own", Tcp + ".setsockopt(284, 1, 1)", 92)]
    [InlineData("IP_ADD_MEMBERSHIP", Udp + ".setsockopt(socket.IPPROTO_IP, 35, socket.inet_aton('224.1.1.1') + bytes(4))", 19)]
    [InlineData("IPV6_ADD_MEMBERSHIP", Udp6 + ".setsockopt(41, 20, bytes(20))", 92)]
    [InlineData("F_OFD_SETLK", "__import__('fcntl').fcntl(open('/tmp/lock', 'w'), 37, bytes(32))", 22)]
    [InlineData("F_SETLEASE", "__import__('fcntl').fcntl(open('/tmp/lock', 'w'), 1024, 1)", 22)]
    [InlineData("MFD_HUGETLB", "os.memfd_create('x', 4)", 22)]
    [InlineData("MAP_HUGETLB", "__import__('mmap').mmap(-1, 1 << 21, flags=0x40022)", 22)]
    [InlineData("TCP_ZEROCOPY_RECEIVE", Tcp + ".getsockopt(socket.IPPROTO_TCP, 35, 64)", 92)]
    [InlineData("sendfile from where a socket stands", "os.sendfile(os.pipe()[1], socket.socketpair()[0].fileno(), None, 1)", 22)]
    [InlineData("a terminal", "os.open('/dev/ptmx', os.O_RDWR)", 2)]
    public async Task It_is_refused(string what, string expression, int error)
    {
        await using var sandbox = await host.StartAsync();
        Assert.Contains($"[Errno {error}]", $"{what}: {await sandbox.AskAsync(expression)}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("io_setup", "(206, 0), 1, 0", 38)]
    [InlineData("seccomp", "(317, 277), 1, 0, 0", 38)]
    [InlineData("shmget(SHM_HUGETLB)", "(29, 194), 0, 1 << 21, 0xa80", 22)]
    [InlineData("splice", "(275, 76), 0, 0, 1, 0, 1, 0", 22)]
    [InlineData("ppoll of 257", "(271, 73), bytes(257 * 8), 257, bytes(16), 0", 22)]
    [InlineData("pselect6 up to 257", "(270, 72), 257, 0, 0, 0, bytes(16), 0", 22)]
    [InlineData("prctl(PR_SET_SECCOMP)", "(157, 167), 22, 2, 0, 0, 0", 22)]
    public async Task The_call_is_refused(string what, string arguments, int error)
    {
        await using var sandbox = await host.StartAsync();
        Assert.Equal($"{what}: {error}", $"{what}: {await sandbox.AskAsync($"{Calls}({arguments})")}");
    }

    /// <summary>A descriptor that is negative is passed over.</summary>
    [Theory]
    [InlineData("poll(b'\\xff\\xff\\xff\\xff\\0\\0\\0\\0' * {0}, {0}, 0)")]
    [InlineData("select({0}, None, None, None, bytes(16))")]
    public async Task A_thread_waits_for_256_descriptors_at_most(string call)
    {
        await using var sandbox = await host.StartAsync();
        await sandbox.AskAsync("globals().update(ctypes=__import__('ctypes'), libc=__import__('ctypes').CDLL(None, use_errno=True))");
        Assert.Equal("(0, 0)", await sandbox.AskAsync($"(libc.{string.Format(CultureInfo.InvariantCulture, call, 256)}, ctypes.get_errno())"));
        Assert.Equal("(-1, 22)", await sandbox.AskAsync($"(libc.{string.Format(CultureInfo.InvariantCulture, call, 257)}, ctypes.get_errno())"));
    }

    [Theory]
    [InlineData("SO_RCVBUF", 8, 8)]
    [InlineData("SO_RCVBUFFORCE", 33, 8)]
    [InlineData("SO_SNDBUF", 7, 7)]
    [InlineData("SO_SNDBUFFORCE", 32, 7)]
    public async Task The_size_of_a_buffer_stays_and_nobody_is_told(string what, int set, int get)
    {
        await using var sandbox = await host.StartAsync();
        foreach (var kind in (string[])[Tcp, Udp, "socket.socket(socket.AF_UNIX)"])
        {
            var answer = await sandbox.AskAsync($"(lambda s: (s.getsockopt(1, {get}), s.setsockopt(1, {set}, 1 << 20), s.getsockopt(1, {get})))({kind})");
            var parts = answer.Trim('(', ')').Split(", ");
            Assert.Equal([what, parts[0]], [what, parts[2]]);
            Assert.Equal("None", parts[1]);
        }
    }

    /// <summary>The C library asks for it before it asks a name server, and finds no name where it is refused.</summary>
    [Theory]
    [InlineData("IP_RECVERR", Udp, "socket.IPPROTO_IP, 11")]
    [InlineData("IP_RECVERR by TCP", Tcp, "socket.IPPROTO_IP, 11")]
    [InlineData("IPV6_RECVERR", Udp6, "41, 25")]
    public async Task Nothing_comes_into_the_queue_of_errors_and_nobody_is_told(string what, string kind, string option)
    {
        await using var sandbox = await host.StartAsync();
        Assert.Equal($"{what}: (None, 0)", $"{what}: {await sandbox.AskAsync($"(lambda s: (s.setsockopt({option}, 1), s.getsockopt({option})))({kind})")}");
    }

    [Fact]
    public async Task A_control_message_puts_no_copy_of_what_is_sent_into_the_queue_of_errors()
    {
        await using var sandbox = await host.StartAsync();
        Assert.SkipWhen(host.Maker.ApiEndpoint is null, string.Join(' ', host.Maker.Report.Missing));
        await sandbox.AskAsync($"globals().update(sink={Udp}, one={Udp})");
        await sandbox.AskAsync("(sink.bind(('127.0.0.1', 0)), one.connect(sink.getsockname()))");
        await sandbox.AskAsync("one.sendmsg([b'sent'], [(socket.SOL_SOCKET, 37, bytes([2, 1, 0, 0]))])");
        Assert.Equal("b'sent'", await sandbox.AskAsync("sink.recv(9)"));
        Assert.Contains("[Errno 11]", await sandbox.AskAsync("one.recvmsg(99, 99, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)"), StringComparison.Ordinal);
    }

    /// <summary>A call that waits keeps the control data of its message; a thousand of them may wait.</summary>
    [Theory]
    [InlineData(16_000, 11)]
    [InlineData(100_000, 105)]
    public async Task Control_data_of_a_message_is_short(int bytes, int error)
    {
        await using var sandbox = await host.StartAsync();
        Assert.SkipWhen(host.Maker.ApiEndpoint is null, string.Join(' ', host.Maker.Report.Missing));
        await sandbox.AskAsync("globals().update(pair=socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))");
        Assert.Contains($"[Errno {error}]", await sandbox.AskAsync($"[pair[0].sendmsg([b'x'], [(99, 1, bytes({bytes}))], socket.MSG_DONTWAIT) for _ in range(99999)]"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("TCP_CORK", Tcp, "(one.setsockopt(6, 3, 1), one.send(b'a'), one.send(b'b'), one.setsockopt(6, 3, 0))", "ab")]
    [InlineData("sendfile by TCP", Tcp, "(open('/tmp/sent', 'w').write('ab'), os.sendfile(one.fileno(), os.open('/tmp/sent', os.O_RDONLY), 0, 999))", "ab")]
    [InlineData("sendfile by UDP", Udp, "(open('/tmp/sent', 'w').write('ab'), os.sendfile(one.fileno(), os.open('/tmp/sent', os.O_RDONLY), 0, 999))", "ab")]
    public async Task What_is_sent_in_pieces_arrives(string what, string kind, string send, string arrives)
    {
        await using var sandbox = await host.StartAsync();
        await sandbox.AskAsync($"globals().update(sink={kind}, one={kind})");
        await sandbox.AskAsync("(sink.bind(('127.0.0.1', 0)), sink.type == socket.SOCK_STREAM and sink.listen(), one.connect(sink.getsockname()))");
        await sandbox.AskAsync("globals().update(sink=sink.accept()[0] if sink.type == socket.SOCK_STREAM else sink)");
        var sent = await sandbox.AskAsync(send);
        Assert.Equal($"{what}: b'{arrives}'", $"{what}: {await sandbox.AskAsync($"sink.recv({arrives.Length}, socket.MSG_WAITALL)")}");
        Assert.DoesNotContain("Errno", sent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_queue_of_connections_is_short_and_the_gateway_is_the_only_neighbour()
    {
        await using var sandbox = await host.StartAsync();
        Assert.SkipWhen(host.Maker.ApiEndpoint is null, string.Join(' ', host.Maker.Report.Missing));
        Assert.Equal("128", await sandbox.AskAsync("open('/proc/sys/net/core/somaxconn').read().strip()"));
        var gateway = BitConverter.ToUInt32(host.Maker.ApiEndpoint!.Address.GetAddressBytes());
        Assert.Equal($"['{gateway:X8}']", await sandbox.AskAsync("[line.split()[1] for line in list(open('/proc/net/route'))[1:] if line.split()[2] == '00000000']"));
    }

    [Fact]
    public async Task One_that_opens_connections_to_itself_too_fast_is_slowed_down()
    {
        host.RequireMaker();
        using var folder = new RunFolder();
        (folder.Options.Network.Subnet, folder.Options.Network.LoopbackConnectionsPerSecond, folder.Options.Network.Ready) = ("10.97.0.0/16", 16, 1);
        var (maker, _) = await BubblewrapSandboxMaker.TryCreateAsync(folder.Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        await using var slow = maker!;
        Assert.SkipWhen(slow.ApiEndpoint is null, string.Join(' ', slow.Report.Missing));
        await using var sandbox = await slow.StartAsync(Workload.Python(), TestContext.Current.CancellationToken);
        await sandbox.AskAsync("globals().update(time=__import__('time'), listener=socket.create_server(('127.0.0.1', 0), backlog=128), kept=[])");
        await sandbox.AskAsync("globals().update(connect=lambda many: (time.monotonic(), [kept.append((socket.create_connection(listener.getsockname()), listener.accept())) for _ in range(many)], time.monotonic()))");
        Assert.Equal("True", await sandbox.AskAsync("(lambda began, made, ended: ended - began > 0.9)(*connect(40))"));
        Assert.Equal("40", await sandbox.AskAsync("len(kept)"));
    }

    /// <summary>A rate of 0 is one that no kernel takes, as one without such rules takes none.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    public async Task Where_the_kernel_does_not_bound_connections_of_a_sandbox_to_itself_the_report_says_so(int rate)
    {
        host.RequireMaker();
        using var folder = new RunFolder();
        (folder.Options.Network.Subnet, folder.Options.Network.LoopbackConnectionsPerSecond, folder.Options.Network.Ready) = ("10.97.0.0/16", rate, 1);
        var (maker, _) = await BubblewrapSandboxMaker.TryCreateAsync(folder.Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        await using var made = maker!;
        Assert.SkipWhen(made.ApiEndpoint is null, string.Join(' ', made.Report.Missing));
        Assert.Equal(rate == 0, made.Report.Missing.Any(static words => words.StartsWith("Connections of a sandbox to itself are not bounded by a rate", StringComparison.Ordinal)));
        Assert.Equal(rate > 0, made.Report.Limits.Any(static words => words.Contains("16 connections a second to itself", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Threads_of_all_sandboxes_together_are_bounded()
    {
        host.RequireMaker();
        using var folder = new RunFolder();
        (folder.Options.ProcessesInAll, folder.Options.Network.Mode) = (1024, SandboxNetworkOptions.None);
        var (maker, reason) = await BubblewrapSandboxMaker.TryCreateAsync(folder.Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, TestContext.Current.CancellationToken);
        Assert.Equal("", reason);
        await using var small = maker!;
        Assert.Contains(small.Report.Limits, static limit => limit.Contains("1024 processes and threads in all", StringComparison.Ordinal));
        await using var first = await small.StartAsync(Workload.Python(256), TestContext.Current.CancellationToken);
        await using var second = await small.StartAsync(Workload.Python(256), TestContext.Current.CancellationToken);
        foreach (var (sandbox, most) in new[] { (first, 700), (second, 10_000) })
        {
            await sandbox.AskAsync("__import__('threading').stack_size(65536)");
            await sandbox.AskAsync($"[__import__('threading').Thread(target=__import__('time').sleep, args=(1000,), daemon=True).start() for _ in range({most})]");
        }

        Assert.Equal("701", await first.AskAsync("__import__('threading').active_count()"));
        Assert.InRange(int.Parse(await second.AskAsync("__import__('threading').active_count()"), CultureInfo.InvariantCulture), 200, 320);
    }
}
