namespace Frusta.Contracts.Entities;

/// <summary>Overrides that one namespace has; null means the system's value (OpenWhisk's <c>ns/limits</c> document).</summary>
public sealed record NamespaceLimits
{
    public static NamespaceLimits None { get; } = new();

    public int? InvocationsPerMinute { get; init; }

    public int? ConcurrentInvocations { get; init; }

    public int? FiresPerMinute { get; init; }

    public IReadOnlyList<string>? AllowedKinds { get; init; }

    public bool? StoreActivations { get; init; }

    public int? MinActionMemory { get; init; }

    public int? MaxActionMemory { get; init; }

    public int? MinActionLogs { get; init; }

    public int? MaxActionLogs { get; init; }

    public int? MinActionTimeout { get; init; }

    public int? MaxActionTimeout { get; init; }

    public int? MinActionConcurrency { get; init; }

    public int? MaxActionConcurrency { get; init; }

    /// <summary>Bytes.</summary>
    public long? MaxParameterSize { get; init; }

    /// <summary>Bytes.</summary>
    public long? MaxPayloadSize { get; init; }

    /// <summary>Bytes.</summary>
    public long? TruncationSize { get; init; }
}
