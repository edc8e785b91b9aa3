using System.Threading.Channels;
using Frusta.Runtimes.Output;
using Frusta.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Runtimes.Tests;

public sealed class OutputCollectorTests
{
    /// <summary>
    /// A watch that began in the middle of a run could be reported after the answer of that run, whose output would go to the next one.
    /// </summary>
    [Fact]
    public async Task The_pipes_are_watched_again_only_between_runs()
    {
        using var loops = new EventLoops(1);
        using var pump = new OutputPump(tickMs: 2);
        using var output = new SandboxPipe();
        using var error = new SandboxPipe();
        using var client = new OtherSide();
        using var channel = new LoopSide(client, loops);
        using var collector = new OutputCollector(output.ReadEnd, error.ReadEnd, channel, pump, TimeProvider.System);
        channel.Collector = collector;
        await IsQuietAsync(); // what is reported to a new channel may be out of order
        await IsQuietAsync();
        collector.Begin(limitBytes: 1000);
        Assert.True(await IsQuietAsync());
        collector.Collect(failed: false);

        output.Write("loud\n");
        error.Write("loud\n"); // what is empty is not read: these pipes would block
        Assert.False(await IsQuietAsync());
        collector.Begin(limitBytes: 1000);
        collector.Collect(failed: false).Json!.Dispose();

        collector.Begin(limitBytes: 1000);
        for (var look = 0; look < 100; look++)
        {
            collector.ReadAlong();
        }

        Assert.False(await IsQuietAsync());
        for (var run = 0; run < 8; run++)
        {
            collector.Collect(failed: false);
            collector.Begin(limitBytes: 1000);
        }

        Assert.True(await IsQuietAsync());

        async Task<bool> IsQuietAsync()
        {
            client.Write("?"u8);
            return await channel.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Else one that never stops, such as a process that an action left behind, would keep the loop of all.</summary>
    [Fact]
    public async Task One_look_reads_what_a_pipe_holds_however_fast_it_is_written()
    {
        const int Looks = 200;
        const int PipeBytes = 64 * 1024;
        using var loops = new EventLoops(1);
        using var pump = new OutputPump(60_000);
        using var output = new SandboxPipe();
        using var error = File.OpenHandle("/dev/null");
        using var client = new OtherSide();
        using var channel = new LoopSide(client, loops);
        using var collector = new OutputCollector(output.ReadEnd, error, channel, pump, TimeProvider.System);
        channel.Collector = collector;
        var line = new string('x', 1023);
        var flood = string.Concat(Enumerable.Repeat(line + "\n", 64));
        var writing = Task.Run(() =>
        {
            try
            {
                for (; ; )
                {
                    output.Write(flood);
                }
            }
            catch (IOException)
            {
                // Nobody reads any more.
            }
        }, TestContext.Current.CancellationToken);

        var most = 0;
        for (var look = 0; look < Looks; look++)
        {
            client.Write("?"u8);
            await channel.Seen.Reader.ReadAsync(TestContext.Current.CancellationToken);
            collector.Begin(limitBytes: 100 << 20);
            var logs = collector.Collect(failed: false);
            most = Math.Max(most, logs.Json?.Length ?? 0);
            logs.Json?.Dispose();
        }

        output.CloseReadEnds();
        await writing;
        var lines = 1 + (PipeBytes / (line.Length + 1));
        Assert.InRange(most, 1, (lines * (line.Length + 50)) + 512);
    }

    /// <summary>An action may write a pipe full of empty lines: to make a record of them takes some fifty times as long as to read them.</summary>
    [Theory]
    [InlineData(64, true)]
    [InlineData(65, false)]
    [InlineData(900, false)]
    public void Long_output_is_left_to_a_thread_that_has_the_time(int lines, bool isShort)
    {
        using var loops = new EventLoops(1);
        using var pump = new OutputPump(1000);
        using var output = new SandboxPipe();
        using var error = File.OpenHandle("/dev/null");
        using var client = new OtherSide();
        using var channel = new LoopSide(client, loops);
        using var collector = new OutputCollector(output.ReadEnd, error, channel, pump, TimeProvider.System);
        collector.Begin(limitBytes: 100 << 20);
        output.Write(string.Concat(Enumerable.Repeat(new string('x', 63) + "\n", lines)));

        Assert.Equal(isShort, collector.TryReadShort());
        Assert.Equal(Math.Max(0, (lines * 64) - 4096), Sandboxes.Processes.OutputPipe.Count(output.ReadEnd));
        using var logs = collector.Collect(failed: false).Json!;

        Assert.Equal(lines, System.Text.Json.JsonDocument.Parse(logs.Memory).RootElement.GetArrayLength());
    }

    /// <summary>What was read along while the activation ran is long, too.</summary>
    [Fact]
    public void Long_logs_are_left_to_a_thread_that_has_the_time()
    {
        using var loops = new EventLoops(1);
        using var pump = new OutputPump(1000);
        using var output = new SandboxPipe();
        using var error = File.OpenHandle("/dev/null");
        using var client = new OtherSide();
        using var channel = new LoopSide(client, loops);
        using var collector = new OutputCollector(output.ReadEnd, error, channel, pump, TimeProvider.System);
        collector.Begin(limitBytes: 100 << 20);
        output.Write(new string('\n', 60_000));
        collector.ReadAlong();

        Assert.False(collector.TryReadShort());
        collector.Collect(failed: false).Json!.Dispose();
        collector.Begin(limitBytes: 100 << 20);
        Assert.True(collector.TryReadShort());
    }

    /// <summary>Says on the loop's thread what the collector says there.</summary>
    private sealed class LoopSide : ReadyPipes
    {
        private readonly byte[] _received = new byte[16];

        public LoopSide(OtherSide other, EventLoops loops)
            : base(other.Answers, other.Requests, loops)
        {
            Watch();
            OnReadable();
        }

        public OutputCollector? Collector { get; set; }

        public Channel<bool> Seen { get; } = Channel.CreateBounded<bool>(1);

        protected override void OnReadable()
        {
            do
            {
                while (Receive(_received) > 0)
                {
                    Seen.Writer.TryWrite(Collector!.IsQuiet);
                }
            }
            while (!TryAwait());
        }
    }

    /// <summary>A pipe with the kind of handle that a sandbox gives.</summary>
    private sealed class SandboxPipe : IDisposable
    {
        private readonly System.IO.Pipes.AnonymousPipeServerStream _writer = new(System.IO.Pipes.PipeDirection.Out);

        public SandboxPipe() => ReadEnd = File.OpenHandle($"/proc/self/fd/{_writer.ClientSafePipeHandle.DangerousGetHandle()}");

        public SafeFileHandle ReadEnd { get; }

        public void Write(string text) => _writer.Write(System.Text.Encoding.UTF8.GetBytes(text));

        public void CloseReadEnds()
        {
            ReadEnd.Dispose();
            _writer.DisposeLocalCopyOfClientHandle();
        }

        public void Dispose()
        {
            ReadEnd.Dispose();
            _writer.Dispose();
        }
    }
}
