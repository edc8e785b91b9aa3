using Frusta.Runtimes.Families;
using Frusta.Runtimes.Output;
using Frusta.Sockets;

namespace Frusta.Testing;

/// <summary>The interpreters of this host, with all that the server shares among their runners.</summary>
public sealed class LiveRuntimes : IDisposable
{
    public const int MaxResultBytes = 1024 * 1024;

    private LiveRuntimes(RuntimeCatalog catalog) => Catalog = catalog;

    public RuntimeCatalog Catalog { get; }

    public EventLoops Loops { get; } = new(1);

    public OutputPump Pump { get; } = new(tickMs: 2);

    /// <summary>Looks which interpreters there are.</summary>
    public static async Task<LiveRuntimes> ProbeAsync() => new(await RuntimeCatalog.ProbeAsync(
        new RuntimesOptions(), "http://127.0.0.1:3233", MaxResultBytes, TimeProvider.System, CancellationToken.None));

    /// <summary>Skips the test, or fails it in CI, where no interpreter of the kind is.</summary>
    public RuntimeRecipe Require(string kind)
    {
        var found = Catalog.TryFind(kind, out var recipe, out var reason);
        TestRun.Require(found, reason);
        return recipe!;
    }

    public void Dispose()
    {
        Pump.Dispose();
        Loops.Dispose();
    }
}
