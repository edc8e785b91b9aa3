using System.Globalization;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>A socket by UDP has a queue of errors and a datagram that is not sent yet, and no cgroup counts either. The host loses little by them.</summary>
[Collection(nameof(Alone))]
public sealed class QueuesOfSocketsTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    private const int MemoryMb = 128;
    private const int MarginMb = 64;
    private const int Tries = 3;
    private const string Ended = "CLOSED";

    // Ten processes with 950 sockets each, and then what is done with each of them: some 600 MB at most.
    private const string Sockets = """
        def body(i):
            done = 0
            while not late() and len(kept) < 950:
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.connect(('127.0.0.1', 9)); kept.append(one)
                done += act(one)
            return done
        def tried(times, send):
            done = 0
            for _ in range(times):
                try: send(); done += 1
                except ConnectionRefusedError: pass
                except OSError as e:
                    if e.errno not in (11, 90, 105): raise
            return done

        """;

    private static readonly Dictionary<string, (string Act, string? Refusal)> Programs = new(StringComparer.Ordinal)
    {
        ["copies of what is sent"] = ("def act(one): one.setsockopt(1, 37, 0x112); return tried(4, lambda: one.send(bytes(16000)))", "OSError(92,"),
        ["copies of what is sent, asked for with each message"] =
            ("def act(one): return tried(4, lambda: one.sendmsg([bytes(16000)], [(1, 37, struct.pack('I', 0x102))]))", null),
        ["errors that nobody reads"] = (
            """
            large = bytes(65530)
            def act(one):
                one.setsockopt(0, 11, 1); return sum(is_too_large(one) for _ in range(60))
            def is_too_large(one):
                try: one.send(large)
                except OSError as e: return e.errno == 90
            """, null),
        ["datagrams held back by an option"] = ("def act(one): one.setsockopt(17, 1, 1); return tried(4, lambda: one.send(bytes(16000)))", "OSError(92,"),
        ["datagrams held back by a flag"] = ("def act(one): return tried(4, lambda: one.send(bytes(16000), 0x8000))", "OSError(95,"),
        ["datagrams held back while they are spliced"] = (
            """
            def act(one): return tried(1, lambda: splice(one))
            def splice(one):
                if not pipes: pipes.extend(os.pipe())
                os.write(pipes[1], bytes(60000))
                if libc.splice(pipes[0], None, one.fileno(), None, ctypes.c_size_t(60000), 4) != 60000: raise OSError(ctypes.get_errno(), 'splice')
            pipes = []
            """, "OSError(22,"),
    };

    public static TheoryData<string> Attacks => [.. Programs.Keys];

    [Theory]
    [MemberData(nameof(Attacks))]
    public async Task The_host_loses_little_by(string attack)
    {
        var (act, refusal) = Programs[attack];
        var taken = long.MaxValue;
        var start = HostMemory.Megabytes();
        for (var i = 0; i < Tries && taken > MemoryMb + MarginMb; i++)
        {
            await using var sandbox = await host.StartAsync(Workload.Python(MemoryMb));
            Assert.SkipWhen(host.Maker.ApiEndpoint is null, string.Join(' ', host.Maker.Report.Missing));
            var stillHeld = Math.Max(0, HostMemory.Megabytes() - start);
            (taken, var answer) = await HostMemoryTests.MeasureAsync(Attack.PlayCodeAsync(sandbox, Sockets + act + "\nanswer = many(10, body)\n"));
            taken += stillHeld;
            TestContext.Current.TestOutputHelper!.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{attack}: {taken} MB; it says {answer}"));
            if (refusal is Ended)
            {
                Assert.Equal(Ended, answer);
                await sandbox.Exited;
                Assert.True(sandbox.MemoryExhausted);
            }
            else if (refusal is not null)
            {
                Assert.Equal(10, answer.Split(refusal).Length - 1);
            }
            else
            {
                Assert.InRange(answer.Split(' ').Sum(static word => int.Parse(word, CultureInfo.InvariantCulture)), 10_000, int.MaxValue);
            }
        }

        Assert.InRange(taken, long.MinValue, MemoryMb + MarginMb);
    }
}
