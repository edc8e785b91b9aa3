using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Controller;
using Frusta.Controller.Api;
using Frusta.Server.Configuration;

namespace Frusta.Server.Parts;

/// <summary>The controller, with the bus in a form that an operator or the end of the server can close.</summary>
internal sealed class ControllerPart : IDisposable
{
    private readonly ClosableBus _bus;
    private readonly ControllerRole _role;

    /// <param name="options">All options.</param>
    /// <param name="subjects">The subjects that may call.</param>
    /// <param name="store">Entities and records.</param>
    /// <param name="bus">The way to the invokers.</param>
    /// <param name="invokers">Gives how many invokers are up, and how many there are.</param>
    /// <param name="pending">Gives how many activations the bus holds.</param>
    /// <param name="process">Clock, log and metrics.</param>
    public ControllerPart(
        FrustaOptions options, KnownSubjects subjects, StorePart store, IBus bus, Func<(int Up, int All)> invokers, Func<long> pending, ProcessPart process)
    {
        _bus = new ClosableBus(bus);
        var operations = new Operations(process.ExportMetrics, invokers, pending, _bus.Close);
        _role = new ControllerRole(
            options.Controller, options.Limits, RuntimesManifest.Stock, subjects.Outside.FindAsync, store.Documents, store.Activations, _bus, operations, process.Clock, process.Loggers);
        Api = _role.Api;
        InnerApi = _role.ApiFor(subjects.Inside.FindAsync);
    }

    /// <summary>The API for callers from outside.</summary>
    public RestApi Api { get; }

    /// <summary>The API for functions in sandboxes.</summary>
    public RestApi InnerApi { get; }

    /// <summary>From now on takes no new invocation (503).</summary>
    public void Close() => _bus.Close();

    public void Dispose() => _role.Dispose();
}
