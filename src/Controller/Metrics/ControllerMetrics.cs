using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Metrics;

/// <summary>The controller's metrics, under OpenWhisk's names. Counts are plain numbers, which a scrape of the metrics reads.</summary>
internal static class ControllerMetrics
{
    private const int Statuses = 600;

    private static readonly Meter Meter = new("Frusta.Controller");
    private static readonly string[] Methods = ["get", "post", "put", "delete", "head", "options", "other"];
    private static readonly long[] Answers = new long[Methods.Length * Statuses];
    private static readonly Histogram<double> ActivationSeconds = Meter.CreateHistogram<double>(
        "histogram_controller_activation_finish_seconds", "s", "Until an activation that nobody waits for was accepted.");

    private static readonly Histogram<double> BlockingSeconds = Meter.CreateHistogram<double>(
        "histogram_controller_blockingActivation_finish_seconds", "s", "Until a blocking call had its result, or its wait was over.");

    private static long _activations;
    private static long _blockingActivations;

    static ControllerMetrics()
    {
        Meter.CreateObservableCounter("counter_controller_activation_start", static () => Volatile.Read(ref _activations), description: "Calls that nobody waits for.");
        Meter.CreateObservableCounter(
            "counter_controller_blockingActivation_start", static () => Volatile.Read(ref _blockingActivations), description: "Calls that wait for the result.");
        for (var i = 0; i < Methods.Length; i++)
        {
            var method = i;
            Meter.CreateObservableCounter($"counter_http_{Methods[i]}_counter", () => AnswersTo(method), description: "Answered requests.");
        }
    }

    public static void ActivationBegan(bool blocking) => Interlocked.Increment(ref blocking ? ref _blockingActivations : ref _activations);

    public static void ActivationEnded(bool blocking, TimeSpan took) => (blocking ? BlockingSeconds : ActivationSeconds).Record(took.TotalSeconds);

    public static void Answered(string method, int status)
    {
        if (status is > 0 and < Statuses)
        {
            Interlocked.Increment(ref Answers[(IndexOf(method) * Statuses) + status]);
        }
    }

    private static int IndexOf(string method) =>
        HttpMethods.IsGet(method) ? 0
        : HttpMethods.IsPost(method) ? 1
        : HttpMethods.IsPut(method) ? 2
        : HttpMethods.IsDelete(method) ? 3
        : HttpMethods.IsHead(method) ? 4
        : HttpMethods.IsOptions(method) ? 5
        : 6;

    private static IEnumerable<Measurement<long>> AnswersTo(int method)
    {
        for (var status = 0; status < Statuses; status++)
        {
            var count = Volatile.Read(ref Answers[(method * Statuses) + status]);
            if (count > 0)
            {
                yield return new Measurement<long>(count, new KeyValuePair<string, object?>("statusCode", status));
            }
        }
    }
}
