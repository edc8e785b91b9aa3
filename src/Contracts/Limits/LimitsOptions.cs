using Frusta.Contracts.Entities;

namespace Frusta.Contracts.Limits;

/// <summary>The system's limits (section <c>Limits</c>), with the defaults of a stock OpenWhisk.</summary>
public sealed class LimitsOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Limits";

    /// <summary>The greatest value of <see cref="SequenceLength"/>.</summary>
    public const int MostSequenceLength = 1000;

    /// <summary>Invocations that one namespace may make in a wall-clock minute; 0 refuses all. 0 to 2147483647.</summary>
    public int InvocationsPerMinute { get; set; } = 60;

    /// <summary>Triggers that one namespace may fire in a wall-clock minute; 0 refuses all. 0 to 2147483647.</summary>
    public int FiresPerMinute { get; set; } = 60;

    /// <summary>Activations of one namespace that run or wait at a time; 0 refuses all. 0 to 2147483647.</summary>
    public int ConcurrentInvocations { get; set; } = 30;

    /// <summary>Components of one sequence, nested ones expanded. 1 to 1000.</summary>
    public int SequenceLength { get; set; } = 50;

    /// <summary>Milliseconds. Least timeout of an action. At least 1.</summary>
    public int MinActionTimeoutMs { get; set; } = 100;

    /// <summary>Milliseconds. Greatest timeout of an action. Not below the least.</summary>
    public int MaxActionTimeoutMs { get; set; } = 300_000;

    /// <summary>Megabytes. Least memory of an action. At least 32.</summary>
    public int MinActionMemoryMb { get; set; } = 128;

    /// <summary>Megabytes. Greatest memory of an action. Not below the least.</summary>
    public int MaxActionMemoryMb { get; set; } = 512;

    /// <summary>Megabytes. Greatest log of one activation. 0 to 1024.</summary>
    public int MaxActionLogsMb { get; set; } = 10;

    /// <summary>Greatest number of activations that an action may ask for in one sandbox at a time. 1, as in a stock OpenWhisk, to 500.</summary>
    public int MaxActionConcurrency { get; set; } = 1;

    /// <summary>Bytes. Greatest request body of an invocation, and of a result. 1024 to 50 MiB.</summary>
    public int MaxPayloadBytes { get; set; } = 1024 * 1024;

    /// <summary>Bytes. Greatest size of the parameters, and of the annotations, of one entity. 1024 to 50 MiB.</summary>
    public int MaxParameterBytes { get; set; } = 1024 * 1024;

    /// <summary>Bytes. Greatest size of the code of an action, as sent. 1024 to 48 MiB.</summary>
    public int MaxCodeBytes { get; set; } = 48 * 1024 * 1024;

    /// <summary>Milliseconds. Longest wait of a blocking call, after which it is answered with 202. 1 to 600000.</summary>
    public int MaxBlockingWaitMs { get; set; } = 60_000;

    /// <summary>Entries of a list when the client names no limit. 1 to the greatest.</summary>
    public int DefaultListLimit { get; set; } = 30;

    /// <summary>Greatest number of entries of a list. 1 to 2000.</summary>
    public int MaxListLimit { get; set; } = 200;

    /// <summary>Bytes that a caller may send with a call or a fire: the namespace's own limit, never above the system's.</summary>
    public long PayloadBytes(NamespaceLimits own) => Math.Min(own.MaxPayloadSize ?? MaxPayloadBytes, MaxPayloadBytes);

    /// <summary>The limits of an action whose creator named none: OpenWhisk's defaults, within these bounds.</summary>
    public ActionLimits OfNewAction()
    {
        var standard = new ActionLimits();
        return standard with
        {
            TimeoutMs = Math.Clamp(standard.TimeoutMs, MinActionTimeoutMs, MaxActionTimeoutMs),
            MemoryMb = Math.Clamp(standard.MemoryMb, MinActionMemoryMb, MaxActionMemoryMb),
            LogsMb = Math.Min(standard.LogsMb, MaxActionLogsMb),
        };
    }

    /// <summary>A sentence on the first rule that is broken, with key, rule and value; null when all rules hold.</summary>
    public string? Validate()
    {
        (string Key, long Value, long Least, long Greatest)[] rules =
        [
            (nameof(InvocationsPerMinute), InvocationsPerMinute, 0, int.MaxValue),
            (nameof(FiresPerMinute), FiresPerMinute, 0, int.MaxValue),
            (nameof(ConcurrentInvocations), ConcurrentInvocations, 0, int.MaxValue),
            (nameof(SequenceLength), SequenceLength, 1, MostSequenceLength),
            (nameof(MinActionTimeoutMs), MinActionTimeoutMs, 1, MaxActionTimeoutMs),
            (nameof(MaxActionTimeoutMs), MaxActionTimeoutMs, MinActionTimeoutMs, 86_400_000),
            (nameof(MinActionMemoryMb), MinActionMemoryMb, 32, MaxActionMemoryMb),
            (nameof(MaxActionMemoryMb), MaxActionMemoryMb, MinActionMemoryMb, 1_048_576),
            (nameof(MaxActionLogsMb), MaxActionLogsMb, 0, 1024),
            (nameof(MaxActionConcurrency), MaxActionConcurrency, 1, 500),
            (nameof(MaxPayloadBytes), MaxPayloadBytes, 1024, 50 * 1024 * 1024),
            (nameof(MaxParameterBytes), MaxParameterBytes, 1024, 50 * 1024 * 1024),
            (nameof(MaxCodeBytes), MaxCodeBytes, 1024, 48 * 1024 * 1024),
            (nameof(MaxBlockingWaitMs), MaxBlockingWaitMs, 1, 600_000),
            (nameof(DefaultListLimit), DefaultListLimit, 1, MaxListLimit),
            (nameof(MaxListLimit), MaxListLimit, 1, 2000),
        ];
        foreach (var (key, value, least, greatest) in rules)
        {
            if (value < least || value > greatest)
            {
                return $"{Section}:{key} must be from {least} to {greatest}, but it is {value}.";
            }
        }

        return null;
    }
}
