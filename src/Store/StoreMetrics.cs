using System.Diagnostics.Metrics;

namespace Frusta.Store;

/// <summary>The store's metrics, under the names that OpenWhisk's dashboards know.</summary>
public static class StoreMetrics
{
    public const string MeterName = "Frusta.Store";

    private static readonly Meter Meter = new(MeterName);
    private static readonly Counter<long> Gets = Meter.CreateCounter<long>("counter_database_getDocument_start");
    private static readonly Counter<long> Saves = Meter.CreateCounter<long>("counter_database_saveDocument_start");
    private static readonly Counter<long> Deletes = Meter.CreateCounter<long>("counter_database_deleteDocument_start");
    private static readonly Counter<long> Queries = Meter.CreateCounter<long>("counter_database_queryView_start");
    private static readonly Counter<long> AttachmentGets = Meter.CreateCounter<long>("counter_database_getDocumentAttachment_start");
    private static readonly Counter<long> AttachmentSaves = Meter.CreateCounter<long>("counter_database_saveDocumentAttachment_start");
    private static readonly Counter<long> AttachmentDeletes = Meter.CreateCounter<long>("counter_database_deleteDocumentAttachments_start");
    private static readonly Histogram<double> GetSeconds = Meter.CreateHistogram<double>("histogram_database_getDocument_finish_seconds", "s");
    private static readonly Histogram<double> SaveSeconds = Meter.CreateHistogram<double>("histogram_database_saveDocument_finish_seconds", "s");
    private static readonly Histogram<double> DeleteSeconds = Meter.CreateHistogram<double>("histogram_database_deleteDocument_finish_seconds", "s");
    private static readonly Histogram<double> QuerySeconds = Meter.CreateHistogram<double>("histogram_database_queryView_finish_seconds", "s");

    internal static void DocumentGet() => Gets.Add(1);

    internal static void DocumentGot(TimeSpan elapsed) => GetSeconds.Record(elapsed.TotalSeconds);

    internal static void DocumentWrite(bool isDeletion, bool withAttachment)
    {
        (isDeletion ? Deletes : Saves).Add(1);
        if (isDeletion)
        {
            AttachmentDeletes.Add(1);
        }
        else if (withAttachment)
        {
            AttachmentSaves.Add(1);
        }
    }

    internal static void DocumentWritten(bool isDeletion, TimeSpan elapsed) => (isDeletion ? DeleteSeconds : SaveSeconds).Record(elapsed.TotalSeconds);

    internal static void AttachmentGet() => AttachmentGets.Add(1);

    internal static void ViewQuery() => Queries.Add(1);

    internal static void ViewQueried(TimeSpan elapsed) => QuerySeconds.Record(elapsed.TotalSeconds);
}
