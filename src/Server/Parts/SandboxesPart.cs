using System.Net;
using Frusta.Runtimes.Families;
using Frusta.Sandboxes;
using Frusta.Sandboxes.Makers;
using Frusta.Server.Configuration;

namespace Frusta.Server.Parts;

/// <summary>The maker of sandboxes, and the search for interpreters, which goes on while the stores open.</summary>
internal sealed class SandboxesPart : IAsyncDisposable
{
    private readonly Task<RuntimeCatalog> _probing;

    private SandboxesPart(ISandboxMaker maker, IPEndPoint? apiEndpoint, Task<RuntimeCatalog> probing)
    {
        Maker = maker;
        ApiEndpoint = apiEndpoint;
        _probing = probing;
    }

    public ISandboxMaker Maker { get; }

    /// <summary>Address at which functions reach the API; null where sandboxes have no network of their own.</summary>
    public IPEndPoint? ApiEndpoint { get; }

    /// <summary>Makes the maker that the options ask for, and begins the search for interpreters.</summary>
    /// <exception cref="StartRefusedException">This host cannot isolate sandboxes as the options ask.</exception>
    public static async Task<SandboxesPart> MakeAsync(FrustaOptions options, ProcessPart process, CancellationToken cancellationToken)
    {
        try
        {
            var (maker, apiEndpoint) = await SandboxMakers.CreateAsync(options.Sandboxes, process.Clock, process.Loggers, cancellationToken);
            var apiHost = $"http://{apiEndpoint ?? options.Server.Reached(options.Server.Port)}";
            var probing = RuntimeCatalog.ProbeAsync(options.Runtimes, apiHost, options.Limits.MaxPayloadBytes, process.Clock, cancellationToken);
            return new SandboxesPart(maker, apiEndpoint, probing);
        }
        catch (InvalidOperationException refused)
        {
            throw new StartRefusedException(refused.Message);
        }
    }

    /// <summary>Completes with the interpreters that were found when the search has ended.</summary>
    public Task<RuntimeCatalog> FindRuntimesAsync() => _probing;

    public ValueTask DisposeAsync() => Maker.DisposeAsync();
}
