using Frusta.Sandboxes.Bubblewrap;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>A maker that isolates fully, which takes root, bubblewrap and cgroups. It is slow to make, so a class shares one.</summary>
public sealed class IsolatedHost : IAsyncLifetime
{
    private readonly RunFolder _folder = new();

    internal SandboxesOptions Options => _folder.Options;

    internal BubblewrapSandboxMaker Maker { get; private set; } = null!;

    private string Reason { get; set; } = "";

    public async ValueTask InitializeAsync()
    {
        Options.TmpMb = 32;
        Options.Network.Subnet = "10.93.0.0/16";
        if (Environment.UserName is not "root")
        {
            Reason = "root is needed for users, cgroups and networks.";
            return;
        }

        (var maker, Reason) = await BubblewrapSandboxMaker.TryCreateAsync(Options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, CancellationToken.None);
        Maker = maker!;
    }

    public async ValueTask DisposeAsync()
    {
        if (Maker is not null)
        {
            await Maker.DisposeAsync();
        }

        _folder.Dispose();
    }

    /// <summary>Starts a sandbox; skips where the host cannot isolate, and fails there when it is the build server.</summary>
    internal async Task<ISandbox> StartAsync(SandboxSpec? spec = null)
    {
        RequireMaker();
        return await Maker.StartAsync(spec ?? Workload.Python(), TestContext.Current.CancellationToken);
    }

    internal void RequireMaker() => TestRun.Require(Maker is not null, Reason);
}
