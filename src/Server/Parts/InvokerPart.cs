using Frusta.Invoker.Intake;
using Frusta.Runtimes.Families;
using Frusta.Runtimes.Output;
using Frusta.Server.Configuration;
using Frusta.Sockets;

namespace Frusta.Server.Parts;

/// <summary>The invoker, with the event loops on which its sandboxes are and the pump that reads their output.</summary>
internal sealed class InvokerPart : IAsyncDisposable
{
    private readonly OutputPump _pump;

    private InvokerPart(FrustaOptions options, RuntimeCatalog catalog, SandboxesPart sandboxes, StorePart store, ProcessPart process)
    {
        Catalog = catalog;
        _pump = new OutputPump(options.Runtimes.OutputTickMs);
        Loops = new EventLoops(Math.Max(1, Environment.ProcessorCount / 2)); // the other cores are the sandboxes' (docs/decisions/0002)
        var factory = new RuntimeSandboxFactory(catalog, sandboxes.Maker, Loops, _pump, options.Runtimes, options.Limits.MaxPayloadBytes, process.Clock);
        Role = new InvokerRole(options.Invoker, options.Limits, store.Documents, factory, process.Clock, process.Loggers);
    }

    public InvokerRole Role { get; }

    public RuntimeCatalog Catalog { get; }

    /// <summary>The loops of the sandboxes, on which the doors of the same process are too, so that a warm call changes threads nowhere.</summary>
    public EventLoops Loops { get; }

    /// <summary>Makes the invoker as soon as it is known which interpreters there are.</summary>
    public static async Task<InvokerPart> MakeAsync(FrustaOptions options, SandboxesPart sandboxes, StorePart store, ProcessPart process) =>
        new(options, await sandboxes.FindRuntimesAsync(), sandboxes, store, process);

    public async ValueTask DisposeAsync()
    {
        await Role.DisposeAsync();
        Loops.Dispose();
        _pump.Dispose();
    }
}
