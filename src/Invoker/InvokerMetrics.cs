using System.Diagnostics.Metrics;
using Frusta.Invoker.Pool;

namespace Frusta.Invoker;

/// <summary>The invoker's metrics, under OpenWhisk's names where OpenWhisk has the metric.</summary>
internal static class InvokerMetrics
{
    private static readonly Meter Meter = new("Frusta.Invoker");
    private static readonly Counter<long> FailedStarts = Meter.CreateCounter<long>("counter_invoker_sandboxStartFailed_counter");
    private static readonly Histogram<double> InitSeconds = Meter.CreateHistogram<double>("histogram_invoker_activationInit_finish_seconds", "s");
    private static readonly Histogram<double> RunSeconds = Meter.CreateHistogram<double>("histogram_invoker_activationRun_finish_seconds", "s");

    // A warm call only increments plain numbers; a scrape of the metrics reads them.
    private static long _activations;
    private static long _inits;
    private static long _runs;
    private static long _collections;
    private static long _cold;
    private static long _prewarmed;
    private static long _warmed;

    static InvokerMetrics()
    {
        Meter.CreateObservableCounter("counter_invoker_activation_start", static () => Volatile.Read(ref _activations));
        Meter.CreateObservableCounter("counter_invoker_activationInit_start", static () => Volatile.Read(ref _inits));
        Meter.CreateObservableCounter("counter_invoker_activationRun_start", static () => Volatile.Read(ref _runs));
        Meter.CreateObservableCounter("counter_invoker_collectLogs_start", static () => Volatile.Read(ref _collections));
        Meter.CreateObservableCounter("counter_invoker_containerStart_counter", static () => new[]
        {
            InState("cold", Volatile.Read(ref _cold)), InState("prewarmed", Volatile.Read(ref _prewarmed)), InState("warmed", Volatile.Read(ref _warmed)),
        });
    }

    public static void ActivationReceived() => Interlocked.Increment(ref _activations);

    public static void InitBegan(bool stemCell)
    {
        Interlocked.Increment(ref _inits);
        Interlocked.Increment(ref stemCell ? ref _prewarmed : ref _cold);
    }

    public static void InitEnded(TimeSpan took) => InitSeconds.Record(took.TotalSeconds);

    public static void RunBegan(bool warm)
    {
        Interlocked.Increment(ref _runs);
        if (warm)
        {
            Interlocked.Increment(ref _warmed);
        }
    }

    public static void RunEnded(TimeSpan took) => RunSeconds.Record(took.TotalSeconds);

    public static void LogsCollected() => Interlocked.Increment(ref _collections);

    public static void StartFailed() => FailedStarts.Add(1);

    /// <summary>Shows the pool's counts as gauges for as long as the process lives. Call it once: a process has one invoker.</summary>
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

    private static Measurement<long> InState(string state, long count) => new(count, new KeyValuePair<string, object?>("containerState", state));

    private static void Gauge(string name, string? unit, Func<long> value) => Meter.CreateObservableGauge(name, value, unit);
}
