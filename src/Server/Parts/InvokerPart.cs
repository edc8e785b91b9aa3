using Frusta.Invoker.Intake;
using Frusta.Runtimes.Families;
using Frusta.Runtimes.Output;
using Frusta.Server.Configuration;
using Frusta.Sockets;

namespace Frusta.Server.Parts;

/// <summary>The invoker, with the event loops of its sandboxes and the pump that reads their output.</summary>
internal sealed class InvokerPart : IAsyncDisposable
{
    private readonly OutputPump _pump;

    private InvokerPart(FrustaOptions options, RuntimeCatalog catalog, SandboxesPart sandboxes, StorePart store, ProcessPart process)
    {
        Catalog = catalog;
        _pump = new OutputPump(options.Runtimes.OutputTickMs);
        Loops = new EventLoops(Math.Max(1, Environment.ProcessorCount / 2)); // the other cores are for the sandboxes (docs/decisions/0002)
        var factory = new RuntimeSandboxFactory(catalog, sandboxes.Maker, Loops, _pump, options.Runtimes, options.Limits.MaxPayloadBytes, process.Clock);
        Role = new InvokerRole(options.Invoker, options.Limits, store.Documents, factory, process.Clock, process.Loggers);
    }

    public InvokerRole Role { get; }

    public RuntimeCatalog Catalog { get; }

    /// <summary>The event loops of the sandboxes. The doors of the same process use them too, so that a warm call changes threads nowhere.</summary>
    public EventLoops Loops { get; }

    /// <summary>Makes the invoker as soon as the search for interpreters has ended.</summary>
    public static async Task<InvokerPart> MakeAsync(FrustaOptions options, SandboxesPart sandboxes, StorePart store, ProcessPart process) =>
        new(options, await sandboxes.FindRuntimesAsync(), sandboxes, store, process);

    public async ValueTask DisposeAsync()
    {
        await Role.DisposeAsync();
        Loops.Dispose();
        _pump.Dispose();
    }
}
