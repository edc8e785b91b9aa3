using System.Collections.Concurrent;
using System.Diagnostics;

namespace Frusta.Testing;

/// <summary>Keeps the spans of one trace that end while it listens.</summary>
public sealed class TestSpans : IDisposable
{
    public const string ParentId = "00f067aa0ba902b7";

    private const string TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";

    private readonly ConcurrentQueue<Activity> _ended = new();
    private readonly ActivityListener _listener;

    public TestSpans(string source)
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = other => string.Equals(other.Name, source, StringComparison.Ordinal),
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = _ended.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    /// <summary>The header <c>traceparent</c> that puts a span into the trace.</summary>
    public static string TraceParent => $"00-{TraceId}-{ParentId}-01";

    /// <summary>Those of the trace, in the order of their ends.</summary>
    public IReadOnlyList<Activity> Ended => [.. _ended.Where(static span => string.Equals(span.TraceId.ToHexString(), TraceId, StringComparison.Ordinal))];

    /// <summary>Their names.</summary>
    public string Names => string.Join(' ', Ended.Select(static span => span.OperationName));

    public void Dispose() => _listener.Dispose();
}
