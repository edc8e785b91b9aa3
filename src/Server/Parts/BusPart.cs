using Frusta.Bus;
using Frusta.Contracts.Messages;
using Frusta.Journal;
using Frusta.Server.Configuration;

namespace Frusta.Server.Parts;

/// <summary>The bus inside one process, over its log in the data folder, with the invoker at its end.</summary>
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

    /// <summary>Delivers again, or gives their records to, the activations that an earlier server left.</summary>
    /// <exception cref="StartRefusedException">There is no room for the records.</exception>
    public async Task<RecoverySummary> RecoverAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await Bus.RecoverAsync(cancellationToken);
        }
        catch (RecordRefusedException refused)
        {
            throw new StartRefusedException(
                $"What an earlier server left in '{_data.Path}' cannot be given its records: {refused.Message} Make room on the disk and start again; nothing is lost.");
        }
    }

    public void Dispose() => _accepted.Dispose();
}
