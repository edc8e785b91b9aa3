using System.Globalization;
using System.Text;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>
/// Python programs that have the kernel hold something for them, as much as they get in a few seconds, and then keep it. Each process of an attack
/// answers how much it got, or what refused it.
/// </summary>
internal static class Attack
{
    private const string Prelude = """
        import ctypes, fcntl, mmap, os, signal, socket, struct, threading, time
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        kept = []
        until = time.monotonic() + 4
        def late(): return time.monotonic() > until
        def many(processes, body):
            answers = []
            for i in range(processes):
                read, write = os.pipe()
                if os.fork() == 0:
                    try: told = str(body(i))
                    except BaseException as e: told = repr(e)
                    os.write(write, told.encode()[:100]); os.close(write)
                    while True: time.sleep(1000)
                os.close(write); answers.append(read)
            told = ' '.join(os.read(read, 100).decode() for read in answers)
            for read in answers: os.close(read)
            return told
        def fill(sender, size=65536, most=200):
            sender.setblocking(False)
            try:
                for _ in range(most): sender.send(bytes(size))
            except OSError: pass
        def grow(one):
            for name in (socket.SO_RCVBUF, socket.SO_SNDBUF): one.setsockopt(socket.SOL_SOCKET, name, 4 << 20)

        """;

    private static readonly Dictionary<string, Program> Programs = new(StringComparer.Ordinal)
    {
        ["netlink sockets that nobody reads"] = Refused("OSError(97,", """
            def body(i):
                while not late():
                    kept.append(socket.socket(16, socket.SOCK_RAW, 0)); grow(kept[-1]); kept[-1].setblocking(False)
                    try:
                        for k in range(500): kept[-1].send(struct.pack('=IHHIIBxxx', 20, 26, 0x301, k, 0, 2))
                    except OSError: pass
            answer = many(3, body)
            """),
        ["connections that nobody accepts"] = Gets(1000, """
            def body(i):
                made = 0
                while not late() and len(kept) < 1000:
                    listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen(100000); kept.append(listener)
                    try:
                        for _ in range(1000):
                            if late(): break
                            one = socket.socket(); one.settimeout(.05); one.connect(listener.getsockname()); fill(one)
                            if made % 2: one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                            one.close(); made += 1
                    except OSError: pass
                return made
            answer = many(3, body)
            """),
        ["connections that nobody reads"] = Gets(100, """
            def body(i):
                listener = socket.create_server(('127.0.0.1', 0), backlog=100)
                while not late() and len(kept) < 1000:
                    one = socket.create_connection(listener.getsockname()); other = listener.accept()[0]; kept.extend((one, other))
                    for end in (one, other): grow(end); fill(end)
                return len(kept)
            answer = many(12, body)
            """),
        ["datagrams that nobody reads"] = Gets(200, """
            def body(i):
                while not late() and len(kept) < 1000:
                    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.bind(('127.0.0.1', 0)); kept.append(one); grow(one)
                    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sender.connect(one.getsockname()); fill(sender, 60000)
                return len(kept)
            answer = many(12, body)
            """),
        ["unix sockets that nobody reads"] = Gets(100, """
            def body(i):
                while not late() and len(kept) < 1000:
                    one, other = socket.socketpair(); kept.extend((one, other))
                    for end in (one, other): grow(end); fill(end)
                return len(kept)
            answer = many(12, body)
            """),
        ["record locks"] = Gets(5000, """
            until += 8
            def body(i):
                made = 0
                for file in range(1000):
                    kept.append(os.open(f'/tmp/lock-{i}-{file}', os.O_RDWR | os.O_CREAT))
                    for k in range(400):
                        if late(): return made
                        fcntl.lockf(kept[-1], fcntl.LOCK_EX, 1, 2 * k); made += 1
                return made
            answer = many(6, body)
            """),
        ["memory policies"] = Refused("(0, 1)", """
            until += 8
            number = {'x86_64': 237, 'aarch64': 235}[os.uname().machine]
            def body(i):
                made, width, mask = 0, 2000 * 4096, ctypes.c_ulong(1)
                for window in range(20000):
                    if window % 64 == 0: kept.append(os.memfd_create('x')); os.ftruncate(kept[-1], 1 << 29)
                    at = libc.mmap(None, ctypes.c_size_t(width), 3, 1, kept[-1], ctypes.c_long(window % 64 * width))
                    for k in range(0, 2000, 2):
                        if late() or libc.syscall(number, ctypes.c_void_p(at + k * 4096), ctypes.c_ulong(4096), 2, ctypes.byref(mask), ctypes.c_ulong(8), 0): return made, ctypes.get_errno()
                        made += 1
                    libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(width))
            answer = many(4, body)
            """),
        ["multicast groups"] = Refused("OSError(19,", """
            def body(i):
                made = 0
                while not late() and len(kept) < 1000:
                    kept.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    for k in range(20):
                        kept[-1].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack('>I', 0xe4000000 + ((i * 1000) + len(kept)) * 20 + k) + socket.inet_aton('127.0.0.1')); made += 1
                return made
            answer = many(12, body)
            """),
        ["watches of files"] = Gets(1000, """
            def body(i):
                made = 0
                for _ in range(20):
                    kept.append(libc.inotify_init1(0))
                    for folder, _, files in os.walk('/usr'):
                        if late(): return made
                        for file in files: made += libc.inotify_add_watch(kept[-1], os.path.join(folder, file).encode(), 0xfff) >= 0
                return made
            answer = many(3, body)
            """),
        ["timers and signals"] = Gets(10_000, """
            def body(i):
                timer, made = ctypes.c_int(), 0
                number = {'x86_64': 222, 'aarch64': 107}[os.uname().machine]
                while not late() and libc.syscall(number, 1, 0, ctypes.byref(timer)) == 0: made += 1
                signal.pthread_sigmask(signal.SIG_BLOCK, [35])
                while not late() and libc.sigqueue(os.getpid(), 35, ctypes.c_void_p(1)) == 0: made += 1
                return made
            answer = many(4, body)
            """),
        ["pipes and polls"] = Gets(200, """
            import select
            def body(i):
                for _ in range(200):
                    if late(): break
                    ends = os.pipe(); kept.extend(ends); os.set_blocking(ends[1], False)
                    try:
                        fcntl.fcntl(ends[1], 1031, 1 << 20)
                        while True: os.write(ends[1], bytes(65536))
                    except OSError: pass
                for _ in range(200):
                    poll = select.epoll(); kept.append(poll)
                    for end in kept[:400]:
                        if late(): return len(kept)
                        poll.register(end, 1)
                return len(kept)
            answer = many(12, body)
            """),
        ["threads that wait for many descriptors"] = Gets(500, """
            ends = [end for _ in range(120) for end in os.pipe()]
            table = b''.join(struct.pack('=iHH', ends[i % 240], 1, 0) for i in range(256))
            threading.stack_size(65536)
            def body(i):
                made = 0
                try:
                    while not late(): threading.Thread(target=lambda: libc.poll(table, 256, -1), daemon=True).start(); made += 1
                except RuntimeError: pass
                return made
            answer = many(3, body)
            """),
        ["threads"] = Gets(500, """
            def body(i):
                made = 0
                threading.stack_size(65536)
                try:
                    while not late(): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start(); made += 1
                except RuntimeError: pass
                return made
            answer = many(3, body)
            """),
    };

    internal static IEnumerable<string> Names => Programs.Keys;

    /// <summary>Runs one in a sandbox until it has what it could get. <see cref="WhyInVain"/> judges the answer.</summary>
    internal static Task<string> PlayAsync(ISandbox sandbox, string name) => PlayCodeAsync(sandbox, Programs[name].Code);

    /// <summary>The same with a program that leaves its words in <c>answer</c>.</summary>
    internal static Task<string> PlayCodeAsync(ISandbox sandbox, string program)
    {
        var code = Convert.ToBase64String(Encoding.UTF8.GetBytes(Prelude + program));
        return sandbox.AskAsync($"(exec(__import__('base64').b64decode('{code}').decode(), globals()), answer)[1]");
    }

    /// <summary>
    /// Why an attack proves nothing; null when it got much, met the refusal that is to keep it from that, or its sandbox was ended for what it took.
    /// </summary>
    /// <param name="name">Which attack.</param>
    /// <param name="answer">What it answered.</param>
    /// <param name="endedForMemory">Whether the sandbox was ended since it took too much.</param>
    /// <param name="share">What part of the usual it must have got.</param>
    internal static string? WhyInVain(string name, string answer, bool endedForMemory, double share = 1)
    {
        var program = Programs[name];
        if (program.Refusal is { } refusal)
        {
            var processes = int.Parse(program.Code[(program.Code.LastIndexOf("many(", StringComparison.Ordinal) + 5)..].Split(',')[0], CultureInfo.InvariantCulture);
            return answer.Split(refusal).Length - 1 == processes ? null : $"{name}: {processes} processes were to meet {refusal}, but they said: {answer}";
        }

        if (answer is "CLOSED")
        {
            return endedForMemory ? null : $"{name}: its sandbox has ended, but not for memory";
        }

        // A process that the kernel killed for want of memory says nothing.
        var least = program.Least * share;
        var got = answer.Split(' ').Sum(static word => int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var one) ? one : 0);
        return got >= least ? null : $"{name}: it was to get {least} at least, and got {got}: {answer}";
    }

    private static Program Refused(string words, string code) => new(code, words, 0);

    private static Program Gets(int least, string code) => new(code, null, least);

    /// <summary>What is run, and what proves that it did something: words that each of its processes is refused with, or how much they get together.</summary>
    private sealed record Program(string Code, string? Refusal, int Least);
}
