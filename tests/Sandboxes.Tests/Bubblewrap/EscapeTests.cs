using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>Each test tries one way out of a real sandbox.</summary>
public sealed class EscapeTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    [Fact]
    public async Task A_fork_bomb_is_bounded_and_the_neighbour_still_answers()
    {
        await using var neighbour = await host.StartAsync();
        await using var sandbox = await host.StartAsync();
        await sandbox.AskAsync("globals().update(bomb=lambda: [__import__('subprocess').Popen(['/bin/sh', '-c', 'f() { f | f & }; f; sleep 100']) for _ in range(20)] and 1)");
        sandbox.Tell("bomb()");
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("2", await neighbour.AskAsync("1 + 1"));
        }

        await sandbox.StopAsync();
        Assert.Equal("2", await neighbour.AskAsync("1 + 1"));
    }

    [Fact]
    public async Task A_memory_bomb_is_ended_and_told_and_the_neighbour_lives()
    {
        await using var neighbour = await host.StartAsync();
        await using var sandbox = await host.StartAsync(Workload.Python(memoryMb: 64));
        Assert.Equal("CLOSED", await sandbox.AskAsync("len(bytearray(200 << 20))"));
        Assert.Equal(137, (await sandbox.Exited.WaitAsync(TestContext.Current.CancellationToken)).ExitCode);
        Assert.True(sandbox.MemoryExhausted);
        Assert.Equal("2", await neighbour.AskAsync("1 + 1"));
        Assert.False(neighbour.MemoryExhausted);
    }

    [Fact]
    public async Task The_memory_limit_can_be_set_later()
    {
        await using var sandbox = await host.StartAsync(Workload.Python(memoryMb: 64));
        sandbox.LimitMemory(300);
        Assert.Equal("209715200", await sandbox.AskAsync("len(bytearray(200 << 20))"));
        sandbox.LimitMemory(32);
        Assert.Equal("CLOSED", await sandbox.AskAsync("len(bytearray(200 << 20))"));
        Assert.InRange(sandbox.MeasureMemory(), 0, 32 << 20);
    }

    [Fact]
    public async Task What_waits_in_its_sockets_has_a_bound_of_its_own()
    {
        await using var sandbox = await host.StartAsync(Workload.Python(memoryMb: 256));
        sandbox.LimitMemory(64);
        await sandbox.AskAsync("""
            exec('def fill(megabytes):\n'
                 ' import time\n'
                 ' listener = socket.create_server(("127.0.0.1", 0), backlog=400)\n'
                 ' total = 0\n'
                 ' pairs = globals().setdefault("pairs", [])\n'
                 ' while total < megabytes << 20 and len(pairs) < 400:\n'
                 '  sender = socket.create_connection(listener.getsockname())\n'
                 '  pairs += [sender, listener.accept()[0]]\n'
                 '  sender.setblocking(False)\n'
                 '  full = 0\n'
                 '  while full < 3:\n'
                 '   try: total += sender.send(bytes(65536))\n'
                 '   except BlockingIOError: full += 1; time.sleep(.001)\n'
                 ' return total >> 20', globals())
            """.ReplaceLineEndings(" "));

        // Beyond the bound, which is 32 MB, the kernel goes on with a little for each socket, so that none stands still.
        Assert.InRange(int.Parse(await sandbox.AskAsync("fill(300)"), CultureInfo.InvariantCulture), 8, 64);
        Assert.InRange(sandbox.MeasureMemory(), 24 << 20, 100 << 20);
    }

    [Fact]
    public async Task Its_tmp_is_writable_but_has_an_end()
    {
        await using var sandbox = await host.StartAsync();
        Assert.Equal("4", await sandbox.AskAsync("open('/tmp/small', 'w').write('fine')"));
        Assert.Contains("No space left", await sandbox.AskAsync("open('/tmp/large', 'wb', buffering=0).write(b'x' * (20 << 20)) + open('/tmp/more', 'wb', buffering=0).write(b'x' * (20 << 20)) + open('/tmp/last', 'wb', buffering=0).write(b'x')"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_else_is_writable()
    {
        await using var sandbox = await host.StartAsync();
        foreach (var place in (string[])["/x", "/usr/x", "/etc/x", "/dev/x", "/run/x", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger"])
        {
            Assert.StartsWith("ERROR", await sandbox.AskAsync($"open('{place}', 'w')"), StringComparison.Ordinal);
        }

        Assert.Contains("No space left", await sandbox.AskAsync("open('/dev/shm/x', 'wb', buffering=0).write(b'x' * (16 << 20)) + open('/dev/shm/y', 'wb', buffering=0).write(b'x')"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_sees_no_process_of_the_host_and_cannot_signal_one()
    {
        await using var sandbox = await host.StartAsync();
        // 1 is bubblewrap's, 2 the program.
        Assert.Equal("['1', '2']", await sandbox.AskAsync("sorted(p for p in os.listdir('/proc') if p.isdigit())"));
        Assert.StartsWith("ERROR ProcessLookupError", await sandbox.AskAsync($"os.kill({Environment.ProcessId}, 9)"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_does_not_see_the_servers_environment_or_descriptors()
    {
        await using var sandbox = await host.StartAsync();
        Assert.Equal("{'TZ': 'UTC', '__OW_API_HOST': 'http://api'}", await sandbox.AskAsync("{k: os.environ[k] for k in sorted(os.environ) if k not in ('LC_CTYPE', 'PWD')}"));
        Assert.DoesNotContain("HOME", await sandbox.AskAsync("open('/proc/1/environ').read()"), StringComparison.Ordinal);
        Assert.Equal("['0', '1', '2', '3', '4', '5']", await sandbox.AskAsync("sorted(os.listdir('/proc/self/fd'))"));
    }

    [Fact]
    public async Task It_does_not_see_the_files_of_another_sandbox_or_of_the_host()
    {
        await using var first = await host.StartAsync();
        await using var second = await host.StartAsync();
        await first.AskAsync("open('/tmp/secret', 'w').write('mine')");
        Assert.Equal("[]", await second.AskAsync("os.listdir('/tmp')"));
        Assert.Equal("[]", await second.AskAsync("[p for p in ('/root', '/home', '/etc/shadow', '/sys', '/var', '/boot') if os.path.exists(p)]"));
    }

    [Theory]
    [InlineData("mount", 165, "0, 0, 0, 0, 0")]
    [InlineData("unshare of a user namespace", 272, "0x10000000")]
    [InlineData("clone of a network namespace", 56, "0x40000011, 0, 0, 0, 0")]
    [InlineData("setns", 308, "0, 0")]
    [InlineData("ptrace", 101, "16, 1, 0, 0")]
    [InlineData("process_vm_readv", 310, "1, 0, 0, 0, 0, 0")]
    [InlineData("keyctl", 250, "0, 0, 0, 0, 0")]
    [InlineData("bpf", 321, "0, 0, 0")]
    [InlineData("perf_event_open", 298, "0, 0, 0, 0, 0")]
    [InlineData("userfaultfd", 323, "0")]
    [InlineData("io_uring_setup", 425, "1, 0")]
    [InlineData("init_module", 175, "0, 0, 0")]
    [InlineData("reboot", 169, "0, 0, 0, 0")]
    [InlineData("chroot", 161, "0")]
    [InlineData("vmsplice", 278, "0, 0, 0, 0")]
    [InlineData("tee", 276, "0, 0, 1, 0")]
    [InlineData("mbind", 237, "0, 0, 0, 0, 0, 0")]
    [InlineData("set_mempolicy", 238, "0, 0, 0")]
    [InlineData("clone of a process with the same open files", 56, "0x411, 0, 0, 0, 0")]
    public async Task A_dangerous_system_call_is_refused(string name, int number, string arguments)
    {
        Assert.SkipUnless(System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture is System.Runtime.InteropServices.Architecture.X64, "The numbers are those of x86-64.");
        await using var sandbox = await host.StartAsync();
        await sandbox.AskAsync($"globals().update(ctypes=__import__('ctypes'), libc=__import__('ctypes').CDLL(None, use_errno=True))");
        Assert.Equal($"{name}: (-1, 1)", $"{name}: {await sandbox.AskAsync($"(libc.syscall({number}, {arguments}), ctypes.get_errno())")}");
        Assert.Equal("2", await sandbox.AskAsync("int(open('/proc/self/status').read().split('Seccomp:')[1].split()[0])"));
    }

    [Fact]
    public async Task It_has_no_capability_and_cannot_become_root()
    {
        await using var sandbox = await host.StartAsync();
        Assert.Equal("['0000000000000000']", await sandbox.AskAsync("sorted({l.split()[1] for l in open('/proc/self/status') if l.startswith('Cap')})"));
        Assert.StartsWith("ERROR", await sandbox.AskAsync("os.setuid(0)"), StringComparison.Ordinal);
        Assert.Equal("1000", await sandbox.AskAsync("__import__('subprocess').run(['/usr/bin/id', '-u'], capture_output=True, text=True).stdout.strip()"));
    }

    [Fact]
    public async Task It_cannot_make_a_device()
    {
        await using var sandbox = await host.StartAsync();
        Assert.StartsWith("ERROR PermissionError", await sandbox.AskAsync("os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0))"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("socket.AF_INET, socket.SOCK_RAW, 1")]
    [InlineData("socket.AF_PACKET, socket.SOCK_RAW, 0")]
    [InlineData("socket.AF_NETLINK, socket.SOCK_RAW, 12")]
    [InlineData("socket.AF_VSOCK, socket.SOCK_STREAM, 0")]
    public async Task It_gets_no_raw_or_unusual_socket(string kind)
    {
        await using var sandbox = await host.StartAsync();
        Assert.StartsWith("ERROR", await sandbox.AskAsync($"socket.socket({kind})"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_reaches_no_port_of_the_host()
    {
        host.RequireMaker();
        using var everywhere = new TcpListener(IPAddress.Any, 0);
        everywhere.Start();
        var port = ((IPEndPoint)everywhere.LocalEndpoint).Port;
        await using var sandbox = await host.StartAsync();
        var addresses = System.Net.NetworkInformation.NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(static link => link.GetIPProperties().UnicastAddresses)
            .Select(static address => address.Address)
            .Where(static address => address.AddressFamily == AddressFamily.InterNetwork)
            .Append(IPAddress.Parse("169.254.169.254"));
        foreach (var address in addresses)
        {
            Assert.StartsWith("ERROR", await sandbox.AskAsync($"socket.create_connection(('{address}', {port.ToString(CultureInfo.InvariantCulture)}), 0.3)"), StringComparison.Ordinal);
        }

        Assert.False(everywhere.Pending());
    }
}
