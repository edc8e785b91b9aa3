using Frusta.Server.Configuration;
using Frusta.Server.Metrics;

namespace Frusta.Server.Parts;

/// <summary>The equipment of the process itself: its clock, its log, its metrics, and the memory that it gives back.</summary>
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

    /// <summary>The metrics of now, as Prometheus reads them.</summary>
    public string ExportMetrics() => _metrics.Export();

    public void Dispose()
    {
        Loggers.Dispose();
        _trim.Dispose();
        _metrics.Dispose();
    }
}
