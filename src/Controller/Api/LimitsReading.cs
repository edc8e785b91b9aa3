using System.Globalization;
using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>The limits that the body of a PUT names; null for each that it does not.</summary>
internal sealed record PutLimits(int? TimeoutMs, int? MemoryMb, int? LogsMb, int? Concurrency, int? Instances)
{
    public static PutLimits None { get; } = new(null, null, null, null, null);

    /// <summary>The old limits, with these in place of those that the body names.</summary>
    public ActionLimits Over(ActionLimits old) => new(
        TimeoutMs ?? old.TimeoutMs, MemoryMb ?? old.MemoryMb, LogsMb ?? old.LogsMb, Concurrency ?? old.Concurrency, Instances ?? old.Instances);
}

/// <summary>Reads and checks the limits of an action.</summary>
internal static class LimitsReading
{
    private const int MostDigits = 4096;

    public static Reading<PutLimits> Read(EntityBody body)
    {
        if (!body.TryGet("limits", out var limits))
        {
            return PutLimits.None;
        }

        if (limits.ValueKind != JsonValueKind.Object)
        {
            return Refusal.Malformed(ApiTexts.ObjectExpected);
        }

        if (!Whole(limits, "timeout", "time limit malformed", "time limit").TryGet(out var timeout, out var refusal)
            || !Whole(limits, "memory", "memory limit malformed", "memory limit").TryGet(out var memory, out refusal)
            || !Whole(limits, "logs", "log limit malformed", "log limit").TryGet(out var logs, out refusal)
            || !Whole(limits, "concurrency", "concurrency limit malformed", "intra concurrency limit").TryGet(out var concurrency, out refusal)
            || !Whole(limits, "instances", "instance concurrency limit malformed", "instance concurrency limit").TryGet(out var instances, out refusal))
        {
            return refusal;
        }

        if (memory < 0 || logs < 0)
        {
            return Refusal.Malformed(EntityTexts.NegativeSize);
        }

        return instances < 0
            ? Refusal.Malformed(EntityTexts.NegativeInstances)
            : new PutLimits(timeout, memory, logs, concurrency, instances);
    }

    /// <summary>400 for a limit beyond what the namespace may have; only those that were sent are looked at.</summary>
    public static Refusal? Check(PutLimits limits, NamespaceLimits own, LimitsOptions system)
    {
        var bounds = EffectiveLimits.Of(own, system);
        var refusal = bounds.Memory.Refusal(limits.MemoryMb)
            ?? bounds.Timeout.Refusal(limits.TimeoutMs)
            ?? bounds.Logs.Refusal(limits.LogsMb)
            ?? bounds.Concurrency.Refusal(limits.Concurrency);
        return refusal is null ? null : new Refusal(400, refusal);
    }

    private static Reading<int?> Whole(JsonSlice limits, string member, string malformed, string name)
    {
        if (!limits.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return default;
        }

        if (value.ValueKind != JsonValueKind.Number)
        {
            return Refusal.Malformed(malformed);
        }

        if (value.Length > MostDigits || !decimal.TryParse(value.GetRawText(MostDigits), NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
        {
            return Refusal.Malformed($"{name} is out of range");
        }

        if (number != decimal.Truncate(number))
        {
            return Refusal.Malformed($"requirement failed: {name} must be whole number");
        }

        return number is >= int.MinValue and <= int.MaxValue ? (int)number : Refusal.Malformed($"{name} is out of range");
    }
}
