using System.Globalization;
using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Controller.Refusals;

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
            throw new MalformedContentException(ApiTexts.ObjectExpected);
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
        var refusal = bounds.Memory.Refusal(limits.MemoryMb)
            ?? bounds.Timeout.Refusal(limits.TimeoutMs)
            ?? bounds.Logs.Refusal(limits.LogsMb)
            ?? bounds.Concurrency.Refusal(limits.Concurrency);
        return refusal is null ? null : ApiAnswer.Error(400, refusal);
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
