using System.Diagnostics.Metrics;
using Frusta.Invoker.Pool;

namespace Frusta.Invoker;

/// <summary>What the invoker counts, under OpenWhisk's names where it has one.</summary>
internal static class InvokerMetrics
{
    private static readonly Meter Meter = new("Frusta.Invoker");
    private static readonly Counter<long> Activations = Meter.CreateCounter<long>("counter_invoker_activation_start");
    private static readonly Counter<long> Inits = Meter.CreateCounter<long>("counter_invoker_activationInit_start");
    private static readonly Counter<long> Runs = Meter.CreateCounter<long>("counter_invoker_activationRun_start");
    private static readonly Counter<long> Collections = Meter.CreateCounter<long>("counter_invoker_collectLogs_start");
    private static readonly Counter<long> ContainerStarts = Meter.CreateCounter<long>("counter_invoker_containerStart_counter");
    private static readonly Counter<long> FailedStarts = Meter.CreateCounter<long>("counter_invoker_sandboxStartFailed_counter");
    private static readonly Histogram<double> InitSeconds = Meter.CreateHistogram<double>("histogram_invoker_activationInit_finish_seconds", "s");
    private static readonly Histogram<double> RunSeconds = Meter.CreateHistogram<double>("histogram_invoker_activationRun_finish_seconds", "s");
    private static readonly KeyValuePair<string, object?> Cold = new("containerState", "cold");
    private static readonly KeyValuePair<string, object?> Prewarmed = new("containerState", "prewarmed");
    private static readonly KeyValuePair<string, object?> Warmed = new("containerState", "warmed");

    public static void ActivationReceived() => Activations.Add(1);

    public static void InitBegan(bool stemCell)
    {
        Inits.Add(1);
        ContainerStarts.Add(1, stemCell ? Prewarmed : Cold);
    }

    public static void InitEnded(TimeSpan took) => InitSeconds.Record(took.TotalSeconds);

    public static void RunBegan(bool warm)
    {
        Runs.Add(1);
        if (warm)
        {
            ContainerStarts.Add(1, Warmed);
        }
    }

    public static void RunEnded(TimeSpan took) => RunSeconds.Record(took.TotalSeconds);

    public static void LogsCollected() => Collections.Add(1);

    public static void StartFailed() => FailedStarts.Add(1);

    /// <summary>Shows the pool's counts as gauges for as long as the process lives: one invoker a process.</summary>
    public static void Watch(Func<PoolCounts> count)
    {
        Gauge("gauge_containerPool_activeCount_counter", null, () => count().Running);
        Gauge("gauge_containerPool_activeSize_counter_bytes", "By", () => count().RunningBytes);
        Gauge("gauge_containerPool_idlesCount_counter", null, () => count().Idle);
        Gauge("gauge_containerPool_idlesSize_counter_bytes", "By", () => count().IdleBytes);
        Gauge("gauge_containerPool_prewarmCount_counter", null, () => count().StemCells);
        Gauge("gauge_containerPool_prewarmSize_counter_bytes", "By", () => count().StemCellBytes);
        Gauge("gauge_containerPool_runBufferCount_counter", null, () => count().Queued);
        Gauge("gauge_containerPool_runBufferSize_counter_bytes", "By", () => count().QueuedBytes);
        Gauge("gauge_containerPool_reservedSize_counter_bytes", "By", () => count().ReservedBytes);
    }

    private static void Gauge(string name, string? unit, Func<long> value) => Meter.CreateObservableGauge(name, value, unit);
}
