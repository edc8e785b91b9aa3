using Frusta.Contracts.Entities;

namespace Frusta.Contracts.Limits;

/// <summary>The ranges of an action's limits in a namespace: the system's ranges, which the namespace's own limits can make narrower but not wider.</summary>
public readonly record struct EffectiveLimits(LimitRange Memory, LimitRange Timeout, LimitRange Logs, LimitRange Concurrency)
{
    public static EffectiveLimits Of(NamespaceLimits own, LimitsOptions system) => new(
        Narrow("memory size", " MB", own.MinActionMemory, own.MaxActionMemory, system.MinActionMemoryMb, system.MaxActionMemoryMb),
        Narrow("duration", " milliseconds", own.MinActionTimeout, own.MaxActionTimeout, system.MinActionTimeoutMs, system.MaxActionTimeoutMs),
        Narrow("log size", " MB", own.MinActionLogs, own.MaxActionLogs, 0, system.MaxActionLogsMb),
        Narrow("concurrency", "", own.MinActionConcurrency, own.MaxActionConcurrency, 1, system.MaxActionConcurrency));

    /// <summary>
    /// The text that refuses a run, since the caller's limits may have been lowered after the action was last updated. It is about the first limit, in
    /// OpenWhisk's order, that is outside of its range; null when none is.
    /// </summary>
    public string? Refusal(ActionLimits action) =>
        Timeout.Refusal(action.TimeoutMs) ?? Memory.Refusal(action.MemoryMb) ?? Concurrency.Refusal(action.Concurrency) ?? Logs.Refusal(action.LogsMb);

    private static LimitRange Narrow(string name, string unit, int? least, int? most, int systemLeast, int systemMost) =>
        new(name, unit, Math.Max(least ?? systemLeast, systemLeast), Math.Min(most ?? systemMost, systemMost));
}
