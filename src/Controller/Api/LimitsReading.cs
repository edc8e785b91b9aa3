using System.Globalization;
using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;

namespace Frusta.Controller.Api;

/// <summary>The limits of a PUT: those that the body names.</summary>
internal sealed record PutLimits(int? TimeoutMs, int? MemoryMb, int? LogsMb, int? Concurrency, int? Instances)
{
    public static PutLimits None { get; } = new(null, null, null, null, null);

    /// <summary>These over the old ones.</summary>
    public ActionLimits Over(ActionLimits old) => new(
        TimeoutMs ?? old.TimeoutMs, MemoryMb ?? old.MemoryMb, LogsMb ?? old.LogsMb, Concurrency ?? old.Concurrency, Instances ?? old.Instances);
}

/// <summary>Reads and checks the limits of an action.</summary>
internal static class LimitsReading
{
    private const int MostDigits = 4096;

    public static PutLimits Read(EntityBody body)
    {
        if (!body.TryGet("limits", out var limits))
        {
            return PutLimits.None;
        }

        if (limits.ValueKind != JsonValueKind.Object)
        {
            throw new MalformedContentException(EntityTexts.ObjectExpected);
        }

        var timeout = Whole(limits, "timeout", "time limit malformed", "time limit");
        var memory = Whole(limits, "memory", "memory limit malformed", "memory limit");
        var logs = Whole(limits, "logs", "log limit malformed", "log limit");
        var concurrency = Whole(limits, "concurrency", "concurrency limit malformed", "intra concurrency limit");
        var instances = Whole(limits, "instances", "instance concurrency limit malformed", "instance concurrency limit");
        if (memory < 0 || logs < 0)
        {
            throw new MalformedContentException(EntityTexts.NegativeSize);
        }

        return instances < 0
            ? throw new MalformedContentException(EntityTexts.NegativeInstances)
            : new PutLimits(timeout, memory, logs, concurrency, instances);
    }

    /// <summary>400 for a limit beyond what the namespace may have; only those that were sent are looked at.</summary>
    public static ApiAnswer? Check(PutLimits limits, NamespaceLimits own, LimitsOptions system)
    {
        var bounds = EffectiveLimits.Of(own, system);
        return Check("memory size", limits.MemoryMb, " MB", bounds.MinMemoryMb, bounds.MaxMemoryMb)
            ?? Check("duration", limits.TimeoutMs, " milliseconds", bounds.MinTimeoutMs, bounds.MaxTimeoutMs)
            ?? Check("log size", limits.LogsMb, " MB", bounds.MinLogsMb, bounds.MaxLogsMb)
            ?? Check("concurrency", limits.Concurrency, "", bounds.MinConcurrency, bounds.MaxConcurrency);
    }

    private static ApiAnswer? Check(string what, int? value, string unit, int least, int greatest)
    {
        if (value > greatest)
        {
            return ApiAnswer.Error(400, $"requirement failed: {what} {value}{unit} exceeds allowed threshold of {greatest}{unit}");
        }

        return value < least
            ? ApiAnswer.Error(400, $"requirement failed: {what} {value}{unit} below allowed threshold of {least}{unit}")
            : null;
    }

    private static int? Whole(JsonSlice limits, string member, string malformed, string name)
    {
        if (!limits.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Number)
        {
            throw new MalformedContentException(malformed);
        }

        if (value.Length > MostDigits || !decimal.TryParse(value.GetRawText(MostDigits), NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
        {
            throw new MalformedContentException($"{name} is out of range");
        }

        if (number != decimal.Truncate(number))
        {
            throw new MalformedContentException($"requirement failed: {name} must be whole number");
        }

        return number is >= int.MinValue and <= int.MaxValue ? (int)number : throw new MalformedContentException($"{name} is out of range");
    }
}

/// <summary>What a namespace may ask for: its own overrides, which never widen the system's range.</summary>
internal sealed record EffectiveLimits(
    int MinMemoryMb,
    int MaxMemoryMb,
    int MinTimeoutMs,
    int MaxTimeoutMs,
    int MinLogsMb,
    int MaxLogsMb,
    int MinConcurrency,
    int MaxConcurrency)
{
    public static EffectiveLimits Of(NamespaceLimits own, LimitsOptions system) => new(
        Math.Clamp(own.MinActionMemory ?? system.MinActionMemoryMb, system.MinActionMemoryMb, system.MaxActionMemoryMb),
        Math.Clamp(own.MaxActionMemory ?? system.MaxActionMemoryMb, system.MinActionMemoryMb, system.MaxActionMemoryMb),
        Math.Clamp(own.MinActionTimeout ?? system.MinActionTimeoutMs, system.MinActionTimeoutMs, system.MaxActionTimeoutMs),
        Math.Clamp(own.MaxActionTimeout ?? system.MaxActionTimeoutMs, system.MinActionTimeoutMs, system.MaxActionTimeoutMs),
        Math.Clamp(own.MinActionLogs ?? 0, 0, system.MaxActionLogsMb),
        Math.Clamp(own.MaxActionLogs ?? system.MaxActionLogsMb, 0, system.MaxActionLogsMb),
        Math.Clamp(own.MinActionConcurrency ?? 1, 1, system.MaxActionConcurrency),
        Math.Clamp(own.MaxActionConcurrency ?? system.MaxActionConcurrency, 1, system.MaxActionConcurrency));
}
