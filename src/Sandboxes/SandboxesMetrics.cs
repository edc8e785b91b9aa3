using System.Diagnostics.Metrics;

namespace Frusta.Sandboxes;

/// <summary>The metrics of sandboxes.</summary>
internal static class SandboxesMetrics
{
    private static readonly Meter Meter = new("Frusta.Sandboxes");
    private static readonly Histogram<double> StartDuration = Meter.CreateHistogram<double>("sandbox_start_seconds", "s", "From the order to the hello.");
    private static readonly Counter<long> StartFailures = Meter.CreateCounter<long>("sandbox_start_failures", description: "Sandboxes that did not come up.");
    private static readonly Counter<long> Stops = Meter.CreateCounter<long>("sandbox_stops", description: "Sandboxes that were ended and given back.");
    private static readonly UpDownCounter<long> Running = Meter.CreateUpDownCounter<long>("sandbox_running", description: "Sandboxes that run.");
    private static readonly UpDownCounter<long> PausedNow = Meter.CreateUpDownCounter<long>("sandbox_paused", description: "Sandboxes that stand still.");
    private static readonly Counter<long> Pauses = Meter.CreateCounter<long>("sandbox_pauses", description: "Times that a sandbox was paused.");
    private static readonly Counter<long> Resumes = Meter.CreateCounter<long>("sandbox_resumes", description: "Times that a paused sandbox went on.");
    private static readonly UpDownCounter<long> Vacant = Meter.CreateUpDownCounter<long>("sandbox_vacant", description: "Sandboxes that were built ahead and have no program yet.");

    internal static void Started(TimeSpan duration)
    {
        StartDuration.Record(duration.TotalSeconds);
        Running.Add(1);
    }

    internal static void StartFailed() => StartFailures.Add(1);

    internal static void VacantReady() => Vacant.Add(1);

    internal static void VacantTaken() => Vacant.Add(-1);

    internal static void PauseBegan()
    {
        Pauses.Add(1);
        PausedNow.Add(1);
    }

    internal static void Resumed()
    {
        Resumes.Add(1);
        PausedNow.Add(-1);
    }

    internal static void StoppedWhilePaused() => PausedNow.Add(-1);

    internal static void Stopped()
    {
        Stops.Add(1);
        Running.Add(-1);
    }
}
