using System.Text;
using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Invoker.Intake;
using Frusta.Runtimes.Families;
using Frusta.Sandboxes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Invoker.Tests.Run;

/// <summary>An invoker with real sandboxes and our own runners in them, without stem cells.</summary>
internal sealed class LiveInvoker : IAsyncDisposable
{
    private readonly ISandboxMaker _maker;
    private readonly LiveRuntimes _runtimes;
    private readonly FakeStore _store = new();
    private readonly InvokerRole _role;

    private LiveInvoker(ISandboxMaker maker, LiveRuntimes runtimes)
    {
        _maker = maker;
        _runtimes = runtimes;
        var factory = new RuntimeSandboxFactory(runtimes.Catalog, maker, runtimes.Loops, runtimes.Pump, new RuntimesOptions(), LiveRuntimes.MaxResultBytes, TimeProvider.System);
        var options = new InvokerOptions { DrainMs = 2000, StemCells = new(StringComparer.Ordinal), Pool = new() { Memory = 8192 } };
        _role = new InvokerRole(options, new LimitsOptions(), _store, factory, TimeProvider.System, NullLoggerFactory.Instance);
    }

    /// <summary>Sandboxes that have no run.</summary>
    public int Idle => _role.Pool.Idle;

    /// <summary>Starts an invoker, which owns the maker from now on.</summary>
    public static async Task<LiveInvoker> StartAsync(ISandboxMaker maker)
    {
        var invoker = new LiveInvoker(maker, await LiveRuntimes.ProbeAsync());
        await invoker._role.StartAsync(CancellationToken.None);
        return invoker;
    }

    /// <summary>Runs a revision of an action of the namespace <c>guest</c>, and gives its record.</summary>
    public async Task<JsonElement> InvokeAsync(
        string code, string arguments = "{}", string kind = "nodejs:20", string name = "real", string revision = "1-a", ActionLimits? limits = null)
    {
        _runtimes.Require(kind);
        var fullName = new FullyQualifiedName("guest", null, name);
        _store.Code[fullName.DocumentId] = Encoding.UTF8.GetBytes(code);
        _store.Keep(fullName, revision, kind);
        var action = new ExecutableAction(fullName, "0.0.1", revision, kind, null, false, "code", limits ?? new ActionLimits(), ProvideApiKey: false);
        var delivery = new FakeDelivery(InvokerFixture.Message(action, arguments), action);
        Assert.Equal(Bus.SendOutcome.Sent, _role.Receive(delivery));
        return await delivery.RecordAsync();
    }

    public static string Result(JsonElement record) => record.GetProperty("response").GetProperty("result").GetRawText();

    public async ValueTask DisposeAsync()
    {
        await _role.DisposeAsync();
        await _maker.DisposeAsync();
        _runtimes.Dispose();
    }
}
