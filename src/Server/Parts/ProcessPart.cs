using Frusta.Server.Configuration;
using Frusta.Server.Metrics;

namespace Frusta.Server.Parts;

/// <summary>The equipment of the process itself: its clock, its logs, its metrics, and the trimming of its memory.</summary>
internal sealed class ProcessPart : IDisposable
{
    private readonly PrometheusExporter _metrics = new();
    private readonly MemoryTrim _trim;

    public ProcessPart(ServerOptions options, TimeProvider clock)
    {
        Clock = clock;
        _trim = new MemoryTrim(clock);
        Loggers = Logging.Create(options);
    }

    public TimeProvider Clock { get; }

    public ILoggerFactory Loggers { get; }

    /// <summary>The present values of all metrics in Prometheus' text form.</summary>
    public string ExportMetrics() => _metrics.Export();

    public void Dispose()
    {
        Loggers.Dispose();
        _trim.Dispose();
        _metrics.Dispose();
    }
}
