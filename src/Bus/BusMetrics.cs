using System.Diagnostics.Metrics;

namespace Frusta.Bus;

/// <summary>The metrics of the bus. They read counts that the bus keeps anyway, so they cost a call nothing.</summary>
public static class BusMetrics
{
    private static readonly Meter Meter = new("Frusta.Bus");
    private static EmbeddedBus? _bus;

    static BusMetrics()
    {
        Meter.CreateObservableCounter("counter_controller_kafka_start", static () => Counts.Accepted, description: "Activations sent on the bus.");
        Meter.CreateObservableCounter("counter_bus_accepted", static () => Counts.Accepted, description: "Activations that the bus took over.");
        Meter.CreateObservableCounter("counter_bus_finished", static () => Counts.Finished, description: "Activations that ended with a record.");
        Meter.CreateObservableCounter("counter_bus_notStored", static () => Counts.NotStored, description: "Activations without a record by rule.");
        Meter.CreateObservableCounter("counter_bus_recovered", static () => Counts.Recovered, description: "Activations that an earlier process left.");
        Meter.CreateObservableCounter("counter_bus_recordsRefused", static () => Counts.RecordsRefused, description: "Records that the journal did not take.");
        Meter.CreateObservableGauge("gauge_bus_pending", static () => Counts.Pending, description: "Activations that wait or run.");
        Meter.CreateObservableGauge("gauge_bus_pending_bytes", static () => Counts.PendingBytes, unit: "By", description: "Bytes of their messages.");
    }

    private static BusCounts Counts => Volatile.Read(ref _bus)?.Snapshot() ?? default;

    /// <summary>Shows the counts of this bus from now on; a process has one bus.</summary>
    internal static void Observe(EmbeddedBus bus) => Volatile.Write(ref _bus, bus);
}
