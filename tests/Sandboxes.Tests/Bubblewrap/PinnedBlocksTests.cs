using System.Globalization;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>A byte by TCP that waits keeps the whole block that its sender wrote it to. Who keeps many of them is ended, and the host loses little.</summary>
[Collection(nameof(Alone))]
public sealed class PinnedBlocksTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    private const int MemoryMb = 128;
    private const int MarginMb = 64;
    private const int Tries = 3;

    // Between two bytes that stay, a block is filled with what is read at once.
    private const string Pins = """
        def pair(listener, where='127.0.0.1'):
            one = socket.socket(); one.bind((where, 0)); one.connect(listener.getsockname()); one.setsockopt(6, 1, 1)
            return one, listener.accept()[0]
        def fill():
            fills[0].sendall(block); left = len(block)
            while left: left -= len(fills[1].recv(left))
        def pin(one):
            try: one.send(piece, 64)
            except BlockingIOError: pass
            fill(); pins.append(1)
        def pin_all(ones, most, end=lambda one: None):
            until = time.monotonic() + 8
            while time.monotonic() < until and len(pins) < most: pin(ones[len(pins) % len(ones)])
            for one in ones: end(one)
        def reset(one):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0'); one.close()
        piece = b'x'; block = bytes(32767); pins = []
        local = socket.create_server(('127.0.0.1', 0), backlog=128)
        fills = pair(local)

        """;

    private static readonly Dictionary<string, string> Programs = new(StringComparer.Ordinal)
    {
        ["bytes that nobody reads"] = "kept = [pair(local) for _ in range(40)]; pin_all([one for one, _ in kept], 80000)",
        ["bytes that nobody reads, by the network's own address"] =
            """
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); probe.connect(('10.1.2.3', 9)); own = probe.getsockname()[0]
            listener = socket.create_server((own, 0), backlog=128)
            kept = [pair(listener, own) for _ in range(20)] + [pair(listener) for _ in range(20)]; pin_all([one for one, _ in kept], 80000)
            """,
        ["bytes that wait at one sender"] = "kept = [pair(local)]; pin_all([kept[0][0]], 80000)",
        ["bytes in connections that both sides have closed"] =
            """
            for _ in range(40):
                kept.append(pair(local)); pin_all([kept[-1][0]], len(pins) + 500, socket.socket.close); kept[-1][1].shutdown(socket.SHUT_WR)
            """,
        ["bytes in connections that nobody accepts"] =
            """
            listener = socket.create_server(('127.0.0.1', 0), backlog=128)
            for i in range(100):
                one = socket.socket(); one.connect(listener.getsockname()); one.setsockopt(6, 1, 1); kept.append(one)
                pin_all([one], len(pins) + 500, reset if i % 2 else lambda one: None)
            """,
        ["datagrams that are sent in segments"] =
            """
            for _ in range(300):
                reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); reader.bind(('127.0.0.1', 0)); kept.append(reader)
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.setsockopt(17, 103, 1000); one.connect(reader.getsockname()); kept.append(one)
            pin_all(kept[1::2], 80000)
            """,
        ["bytes instead of what unix sockets held"] =
            """
            full, held = [], 0
            while held < 85 << 20:
                ends = socket.socketpair(); ends[0].setblocking(False); full.append([*ends, 0])
                try:
                    while held < 85 << 20: sent = ends[0].send(bytes(65536)); held += sent; full[-1][2] += sent
                except OSError: pass
            kept = [pair(local) for _ in range(4)]
            while full:
                if full[-1][2] <= 0: full.pop(); continue
                full[-1][2] -= len(full[-1][1].recv(65536))
                for _ in range(2): pin(kept[len(pins) % 4][0])
            time.sleep(1)
            """,
        ["pieces that fill up packets"] =
            """
            piece = bytes(3400)
            kept = [pair(local) for _ in range(480)]; pin_all([one for one, _ in kept], 80000)
            """,
    };

    public static TheoryData<string> Attacks => [.. Programs.Keys];

    [Theory]
    [MemberData(nameof(Attacks))]
    public async Task The_host_loses_little_by(string attack)
    {
        var taken = long.MaxValue;
        await using var neighbour = await host.StartAsync(Workload.Python(MemoryMb));
        Assert.SkipWhen(host.Maker.ApiEndpoint is null, string.Join(' ', host.Maker.Report.Missing));
        for (var i = 0; i < Tries && taken > MemoryMb + MarginMb; i++)
        {
            await using var sandbox = await host.StartAsync(Workload.Python(MemoryMb));
            (taken, var answer) = await HostMemoryTests.MeasureAsync(Attack.PlayCodeAsync(sandbox, Pins + Programs[attack] + "\nanswer = str(len(pins))\n"));
            TestContext.Current.TestOutputHelper!.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{attack}: {taken} MB; it says {answer}"));
            Assert.Equal("CLOSED", answer);
            await sandbox.Exited;
            Assert.True(sandbox.MemoryExhausted);
        }

        Assert.InRange(taken, long.MinValue, MemoryMb + MarginMb);
        Assert.Equal("2", await neighbour.AskAsync("1 + 1"));
    }

    /// <summary>A paused sandbox sends nothing, and keeps what it has pinned.</summary>
    [Fact]
    public async Task Two_that_are_paused_in_turn_are_found_out()
    {
        ISandbox[] both = [await host.StartAsync(Workload.Python(MemoryMb)), await host.StartAsync(Workload.Python(MemoryMb))];
        Assert.SkipUnless(both.All(static one => one.CanPause), "Sandboxes cannot be paused here.");
        foreach (var one in both)
        {
            await Attack.PlayCodeAsync(one, Pins + "kept = [pair(local) for _ in range(4)]\ndef more():\n    for _ in range(18 * 32): pin(kept[len(pins) % 4][0])\n    return len(pins)\nanswer = ''");
        }

        var before = HostMemory.Megabytes();
        try
        {
            for (var turn = 0; turn < 40; turn++)
            {
                both[turn % 2].Resume();
                await both[turn % 2].AskAsync("more()");
                both[turn % 2].Pause();
            }
        }
        catch (IOException)
        {
            // The one whose turn it was has ended.
        }

        Assert.Contains(both, static one => one.MemoryExhausted);
        Assert.InRange(HostMemory.Megabytes() - before, long.MinValue, 2 * MarginMb);
        foreach (var one in both)
        {
            await one.StopAsync();
        }
    }

    /// <summary>A sandbox with requests that it has not read yet is not to be ended for what is charged to another one.</summary>
    [Fact]
    public async Task One_with_unread_requests_is_not_ended_since_another_fills_its_own_memory()
    {
        await using var serves = await host.StartAsync(Workload.Python(MemoryMb));
        await using var fills = await host.StartAsync(Workload.Python(MemoryMb));
        await Attack.PlayCodeAsync(serves, Pins + "kept = [pair(local) for _ in range(60)]\nfor one, _ in kept: one.send(bytes(40))\nanswer = ''");
        await Attack.PlayCodeAsync(
            fills,
            """
            while not late():
                full, held = [], 0
                while held < 60 << 20:
                    ends = socket.socketpair(); ends[0].setblocking(False); full.append(ends)
                    try:
                        while held < 60 << 20: held += ends[0].send(bytes(65536))
                    except OSError: pass
                time.sleep(.1); del full[:]; time.sleep(.1)
            answer = ''
            """);
        Assert.Equal("60", await serves.AskAsync("len(kept)"));
    }

    /// <summary>One that sends through itself as fast as it can, and one whose reader has stopped, have packets that wait too.</summary>
    [Fact]
    public async Task One_that_streams_is_not_taken_for_one_that_pins()
    {
        await using var streams = await host.StartAsync(Workload.Python(MemoryMb));
        await using var waits = await host.StartAsync(Workload.Python(MemoryMb));
        await using var pins = await host.StartAsync(Workload.Python(MemoryMb));
        await Attack.PlayCodeAsync(waits, Pins + "kept = [pair(local)]\nkept[0][0].setblocking(False)\ntry:\n    while True: kept[0][0].send(bytes(1000))\nexcept OSError: pass\nanswer = ''");
        var streaming = Attack.PlayCodeAsync(
            streams,
            Pins + """
            sender, reader = pair(local)
            def send():
                while not late(): sender.sendall(bytes(100_000))
                sender.close()
            threading.Thread(target=send).start()
            total = 0
            while part := reader.recv(65536): total += len(part)
            answer = str(total)
            """);
        Assert.Equal("CLOSED", await Attack.PlayCodeAsync(pins, Pins + Programs["bytes that nobody reads"] + "\nanswer = ''"));
        Assert.InRange(long.Parse(await streaming, CultureInfo.InvariantCulture), 100_000_000, long.MaxValue);
        Assert.Equal("2", await waits.AskAsync("1 + 1"));
    }
}
