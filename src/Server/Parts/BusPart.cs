using Frusta.Bus;
using Frusta.Contracts.Messages;
using Frusta.Journal;
using Frusta.Server.Configuration;

namespace Frusta.Server.Parts;

/// <summary>The bus inside one process, with its log in the data folder; it delivers to the invoker of the same process.</summary>
internal sealed class BusPart : IDisposable
{
    private readonly DataFolder _data;
    private readonly SegmentedLog _accepted;

    public BusPart(BusOptions options, DataFolder data, StorePart store, InvokerPart invoker, ProcessPart process)
    {
        _data = data;
        _accepted = SegmentedLog.Open(options.AcceptedLog(data.Journal), process.Clock, process.Loggers.CreateLogger<SegmentedLog>());
        store.Invalidation.Deliver(invoker.Role);
        Bus = new EmbeddedBus(_accepted, store.Activations, invoker.Role, process.Clock, options, process.Loggers.CreateLogger<EmbeddedBus>());
    }

    public EmbeddedBus Bus { get; }

    /// <summary>Settles the activations that an earlier server left: delivers them again, or gives them their records.</summary>
    /// <exception cref="StartRefusedException">The journal does not take the records.</exception>
    public async Task<RecoverySummary> RecoverAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await Bus.RecoverAsync(cancellationToken);
        }
        catch (RecordRefusedException refused)
        {
            throw new StartRefusedException(
                $"The records of activations that an earlier server left in '{_data.Path}' cannot be written: {refused.Message} Make room on the disk and start again; nothing is lost.");
        }
    }

    public void Dispose() => _accepted.Dispose();
}
