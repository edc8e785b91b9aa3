using System.Diagnostics;

namespace Frusta.Contracts.Messages;

/// <summary>
/// The stages of an activation as spans of the source <c>Frusta</c>, for any listener of <see cref="ActivitySource"/> (OpenTelemetry is one): <c>request</c>,
/// <c>compose</c>, <c>send</c> and <c>wait</c> in the controller, <c>accept</c> on the bus, <c>queue</c>, <c>init</c>, <c>run</c> and <c>record</c> in the invoker. Without a
/// listener a stage costs the look at one field.
/// </summary>
public static class Spans
{
    /// <summary>Name of the source.</summary>
    public const string SourceName = "Frusta";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>The span under way, in the form of the header <c>traceparent</c> (W3C Trace Context), so that a message can carry it; null without a listener.</summary>
    public static string? Current => Activity.Current is { IdFormat: ActivityIdFormat.W3C } current ? current.Id : null;

    /// <summary>Begins the span of a request; null without a listener. The caller disposes it when the request ends.</summary>
    /// <param name="traceParent">The header <c>traceparent</c> of the request, as it came; a header that cannot be read counts as none.</param>
    public static Activity? Request(string? traceParent) =>
        Source.HasListeners() ? Source.StartActivity("request", ActivityKind.Server, Parse(traceParent)) : null;

    /// <summary>Begins a stage under the span that is under way here.</summary>
    public static Activity? Begin(string stage) => Source.HasListeners() ? Source.StartActivity(stage) : null;

    /// <summary>Begins a stage of the activation under the span that its message carries.</summary>
    /// <param name="stage">Name of the stage.</param>
    /// <param name="message">The message of the activation.</param>
    /// <param name="sinceMs">Milliseconds since 1970 at which the stage began; null for now.</param>
    public static Activity? Begin(string stage, ActivationMessage message, long? sinceMs = null)
    {
        if (!Source.HasListeners())
        {
            return null;
        }

        var start = sinceMs is { } ms ? DateTimeOffset.FromUnixTimeMilliseconds(ms) : default;
        var span = Source.StartActivity(stage, ActivityKind.Consumer, Parse(message.TraceParent), startTime: start);
        return span?.SetTag("activation.id", message.Id.ToString()).SetTag("action", message.Action.DocumentId);
    }

    private static ActivityContext Parse(string? traceParent) =>
        ActivityContext.TryParse(traceParent, traceState: null, isRemote: true, out var context) ? context : default;
}
