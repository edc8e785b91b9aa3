using System.Text;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Frusta.Sockets;

namespace Frusta.Runtimes.Frames;

/// <summary>A sandbox with one of our runners in it. Server and runner exchange frames over the two pipes of the channel.</summary>
internal sealed class FramedSandbox : RunnableSandbox
{
    // Requests like those of real runs, to warm the code that reads one. The dummy action answers the first at once, and the second by a promise.
    private static readonly byte[] AtOnce = Priming("""{"later":false}""");
    private static readonly byte[] Later = Priming("""{"later":true}""");

    private readonly FramesClient _client;
    private readonly OutputCollector _output;

    /// <summary>Takes the sandbox over. Nothing is received before <see cref="StartAsync"/>.</summary>
    /// <param name="sandbox">The sandbox; this object owns it from now on.</param>
    /// <param name="channel">Its endpoint.</param>
    /// <param name="words">The answers when the runner's process ends in the middle of an exchange.</param>
    /// <param name="maxResultBytes">Bytes of the largest result; the runner was started with the same number.</param>
    /// <param name="loops">One of them watches the channel.</param>
    /// <param name="pump">Reads the output of activations while they run.</param>
    /// <param name="time">Gives log lines their time.</param>
    public FramedSandbox(ISandbox sandbox, SandboxChannel channel, WordsOfEnd words, int maxResultBytes, EventLoops loops, OutputPump pump, TimeProvider time)
    {
        Sandbox = sandbox;
        _client = new FramesClient(channel, words, maxResultBytes, loops);
        _output = new OutputCollector(sandbox.StandardOutput, sandbox.StandardError, _client, pump, time);
    }

    public override ISandbox Sandbox { get; }

    public override IRuntimeClient Runtime => _client;

    public override bool IsDead => _client.IsDead;

    /// <summary>Begins to receive, and has the runner make dummy runs.</summary>
    /// <param name="primingRuns">Number of dummy runs; 0 for a sandbox that an activation waits for.</param>
    /// <param name="cancellationToken">Ends the dummy runs.</param>
    /// <exception cref="SandboxStartException">The runner ended during a dummy run, or gave no valid answer.</exception>
    public async ValueTask StartAsync(int primingRuns, CancellationToken cancellationToken)
    {
        _client.Start();
        for (var run = 0; run < primingRuns; run++)
        {
            var answer = await _client.PrimeAsync(run % 2 == 0 ? AtOnce : Later, cancellationToken);
            answer.Body?.Dispose();
            if (answer.Kind != RuntimeAnswerKind.Answered)
            {
                throw new SandboxStartException($"Sandbox {Sandbox.Label} ended while it warmed up: its runner gave no answer to a dummy run ({answer.Kind}).");
            }
        }
    }

    public override void BeginOutput(long limitBytes) => _output.Begin(limitBytes);

    public override bool TryReadOutput() => _output.TryReadShort();

    public override LogsResult CollectOutput(bool failed, string? lastWords) => _output.Collect(failed, lastWords);

    public override async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        _output.Dispose();
        await Sandbox.DisposeAsync();
    }

    private static byte[] Priming(string value) => Encoding.UTF8.GetBytes(
        $$"""{"value":{{value}},"namespace":"_","action_name":"/_/prime","action_version":"0.0.1","activation_id":"00000000000000000000000000000000","transaction_id":"prime","deadline":"0"}""");
}
