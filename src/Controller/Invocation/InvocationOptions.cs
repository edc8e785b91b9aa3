namespace Frusta.Controller.Invocation;

/// <summary>Bounds of the objects that the controller keeps for invocations (section <c>Controller:Invocation</c>).</summary>
public sealed class InvocationOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Controller:Invocation";

    /// <summary>Actions kept resolved, with their parameters merged; all are dropped when there are more. 16 to 1000000.</summary>
    public int ResolvedActions { get; set; } = 10_000;

    /// <summary>Bytes that these take, about, with the documents that they were made of; all are dropped when there are more. 1 MiB to 1 TiB.</summary>
    public long ResolvedBytes { get; set; } = 256L << 20;

    /// <summary>
    /// Objects that wait for an activation's end, kept for use by later calls, some 200 bytes each. It does not bound the number of calls. 0 to 1000000.
    /// </summary>
    public int SpareReplies { get; set; } = 4096;

    /// <summary>Seconds that a client is told to wait when a bound of the whole server is reached (<c>Retry-After</c>). 1 to 3600.</summary>
    public int RetryAfterSeconds { get; set; } = 1;

    /// <summary>A sentence on the first rule that is broken, with key, rule and value; null when all rules hold.</summary>
    public string? Validate() =>
        Check(nameof(ResolvedActions), ResolvedActions, 16, 1_000_000)
        ?? Check(nameof(ResolvedBytes), ResolvedBytes, 1L << 20, 1L << 40)
        ?? Check(nameof(SpareReplies), SpareReplies, 0, 1_000_000)
        ?? Check(nameof(RetryAfterSeconds), RetryAfterSeconds, 1, 3600);

    private static string? Check(string key, long value, long least, long greatest) => value < least || value > greatest
        ? $"{Section}:{key} must be from {least} to {greatest}, but it is {value}."
        : null;
}
