using System.Text;
using Frusta.Runtimes;
using Frusta.Runtimes.Frames;
using Frusta.Runtimes.Manifests;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Frusta.Sockets;

namespace Frusta.Invoker.Run;

/// <summary>Makes sandboxes with the runners of this host's own interpreters in them.</summary>
public sealed class RuntimeSandboxFactory : ISandboxFactory
{
    // What a run looks like, so that the code that reads one is warm. Both ways of answering are gone through.
    private static readonly byte[] AtOnce = Priming("""{"later":false}""");
    private static readonly byte[] Later = Priming("""{"later":true}""");

    // OpenWhisk's default for an action. What is made ahead is given the bound of its action when there is one.
    private const int UsualMemoryMb = 256;

    private readonly RuntimeCatalog _catalog;
    private readonly ISandboxMaker _maker;
    private readonly EventLoops _loops;
    private readonly OutputPump _pump;
    private readonly TimeProvider _time;
    private readonly int _primingRuns;
    private readonly int _maxResultBytes;
    private readonly Dictionary<string, RuntimeRecipe> _families = new(StringComparer.Ordinal);

    /// <param name="catalog">The kinds that run here.</param>
    /// <param name="maker">Makes the sandboxes.</param>
    /// <param name="loops">They watch the channels.</param>
    /// <param name="pump">Reads along with what runs.</param>
    /// <param name="options">How stem cells are primed.</param>
    /// <param name="maxResultBytes">Bytes of the largest result; the catalog was made with the same number.</param>
    /// <param name="time">The clock.</param>
    public RuntimeSandboxFactory(RuntimeCatalog catalog, ISandboxMaker maker, EventLoops loops, OutputPump pump, RuntimesOptions options, int maxResultBytes, TimeProvider time)
    {
        _catalog = catalog;
        _maker = maker;
        _loops = loops;
        _pump = pump;
        _time = time;
        _primingRuns = options.PrimingRuns;
        _maxResultBytes = maxResultBytes;
        foreach (var recipe in catalog.Recipes)
        {
            if (_families.TryAdd(FamilyOf(recipe.Kind), recipe))
            {
                maker.Expect(recipe.ToSpec(UsualMemoryMb));
            }
        }
    }

    public KindSupport Find(string kind) =>
        _catalog.TryFind(kind, out _, out var reason) ? new KindSupport(FamilyOf(kind), null) : new KindSupport(null, reason);

    public bool IsForItsMemoryOnly(string family) => _families.TryGetValue(family, out var recipe) && recipe.IsForItsMemoryOnly;

    public int MostSandboxes => _maker.MostSandboxes;

    public async ValueTask<RunnableSandbox> StartAsync(string family, int memoryMb, bool ahead, CancellationToken cancellationToken)
    {
        if (!_families.TryGetValue(family, out var recipe))
        {
            throw new SandboxStartException($"No interpreter of the family {family} was found on this host.");
        }

        var sandbox = await _maker.StartAsync(recipe.ToSpec(memoryMb), cancellationToken);
        var runnable = new FramedSandbox(sandbox, recipe.Family, _maxResultBytes, _loops, _pump, _time);
        try
        {
            runnable.Client.Start();
            for (var run = 0; ahead && run < _primingRuns; run++)
            {
                var answer = await runnable.Client.PrimeAsync(run % 2 == 0 ? AtOnce : Later, cancellationToken);
                answer.Body?.Dispose();
                if (answer.Kind != RuntimeAnswerKind.Answered)
                {
                    throw new SandboxStartException($"Sandbox {sandbox.Label} ended while it warmed up.");
                }
            }

            return runnable;
        }
        catch
        {
            await runnable.DisposeAsync();
            throw;
        }
    }

    /// <summary><c>nodejs</c> of <c>nodejs:20</c>: one interpreter runs all kinds of its family.</summary>
    private static string FamilyOf(string kind)
    {
        var colon = kind.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? kind : kind[..colon];
    }

    private static byte[] Priming(string value) => Encoding.UTF8.GetBytes(
        $$"""{"value":{{value}},"namespace":"_","action_name":"/_/prime","action_version":"0.0.1","activation_id":"00000000000000000000000000000000","transaction_id":"prime","deadline":"0"}""");

    private sealed class FramedSandbox : RunnableSandbox
    {
        private readonly OutputCollector _output;

        public FramedSandbox(ISandbox sandbox, RuntimeFamily family, int maxResultBytes, EventLoops loops, OutputPump pump, TimeProvider time)
        {
            Sandbox = sandbox;
            Client = new FramesClient(sandbox.Channel, family, maxResultBytes, loops);
            _output = new OutputCollector(sandbox.StandardOutput, sandbox.StandardError, Client, pump, time);
        }

        public FramesClient Client { get; }

        public override ISandbox Sandbox { get; }

        public override IRuntimeClient Runtime => Client;

        public override bool IsDead => Client.IsDead;

        public override void BeginOutput(long limitBytes) => _output.Begin(limitBytes);

        public override bool TryReadOutput() => _output.TryReadShort();

        public override LogsResult CollectOutput(bool failed, string? lastWords) => _output.Collect(failed, lastWords);

        public override async ValueTask DisposeAsync()
        {
            await Client.DisposeAsync();
            _output.Dispose();
            await Sandbox.DisposeAsync();
        }
    }
}
