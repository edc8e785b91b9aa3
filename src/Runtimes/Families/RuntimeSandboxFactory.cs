using Frusta.Runtimes.Frames;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Frusta.Sockets;

namespace Frusta.Runtimes.Families;

/// <summary>Makes sandboxes in which this host's own interpreters run Frusta's runners.</summary>
public sealed class RuntimeSandboxFactory : ISandboxFactory
{
    // OpenWhisk's default for an action. A sandbox that is made ahead gets the limit of its action once it has one.
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
    /// <param name="pump">Reads the output of activations while they run.</param>
    /// <param name="options">How stem cells are primed.</param>
    /// <param name="maxResultBytes">Bytes of the largest result; the catalog was made with the same number.</param>
    /// <param name="time">Gives log lines their time.</param>
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
            if (_families.TryAdd(recipe.Family.Name, recipe))
            {
                maker.Expect(recipe.ToSpec(UsualMemoryMb));
            }
        }
    }

    public KindSupport Find(string kind) =>
        _catalog.TryFind(kind, out var recipe, out var reason) ? new KindSupport(recipe.Family.Name, null) : new KindSupport(null, reason);

    public bool IsForItsMemoryOnly(string family) => _families.TryGetValue(family, out var recipe) && recipe.Family.IsForItsMemoryOnly;

    public int MostSandboxes => _maker.MostSandboxes;

    public async ValueTask<RunnableSandbox> StartAsync(string family, int memoryMb, bool ahead, CancellationToken cancellationToken)
    {
        if (!_families.TryGetValue(family, out var recipe))
        {
            throw new SandboxStartException($"No interpreter of the family {family} was found on this host.");
        }

        var sandbox = await _maker.StartAsync(recipe.ToSpec(memoryMb), cancellationToken);
        var runnable = Connect(sandbox, recipe.Family);
        try
        {
            await runnable.StartAsync(ahead ? _primingRuns : 0, cancellationToken);
            return runnable;
        }
        catch
        {
            await runnable.DisposeAsync();
            throw;
        }
    }

    /// <summary>Gives the sandbox the client that speaks to its sort of endpoint.</summary>
    private FramedSandbox Connect(ISandbox sandbox, RuntimeFamily family) => sandbox.Endpoint switch
    {
        SandboxChannel channel => new FramedSandbox(sandbox, channel, family.WordsOfEnd, _maxResultBytes, _loops, _pump, _time),
        var endpoint => throw new NotSupportedException($"There is no client for an endpoint of type {endpoint.GetType().Name}."),
    };
}
