using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;

namespace Frusta.Invoker.Run;

/// <summary>The limits of an action are those of its last update; the caller's may have been lowered since.</summary>
internal static class CheckLimits
{
    /// <summary>The text for the first limit outside of its range, in the order timeout, memory, concurrency, logs; null when all are inside.</summary>
    public static string? Find(ActionLimits action, NamespaceLimits caller, LimitsOptions system)
    {
        var (leastMs, mostMs) = Clip(caller.MinActionTimeout, caller.MaxActionTimeout, system.MinActionTimeoutMs, system.MaxActionTimeoutMs);
        var (leastMb, mostMb) = Clip(caller.MinActionMemory, caller.MaxActionMemory, system.MinActionMemoryMb, system.MaxActionMemoryMb);
        var (leastAtOnce, mostAtOnce) = Clip(caller.MinActionConcurrency, caller.MaxActionConcurrency, 1, system.MaxActionConcurrency);
        var (leastLogsMb, mostLogsMb) = Clip(caller.MinActionLogs, caller.MaxActionLogs, 0, system.MaxActionLogsMb);
        return Name("duration", action.TimeoutMs, leastMs, mostMs, " milliseconds")
            ?? Name("memory size", action.MemoryMb, leastMb, mostMb, " MB")
            ?? Name("concurrency", action.Concurrency, leastAtOnce, mostAtOnce, "")
            ?? Name("log size", action.LogsMb, leastLogsMb, mostLogsMb, " MB");
    }

    private static (int Least, int Most) Clip(int? least, int? most, int systemLeast, int systemMost) =>
        (Math.Max(least ?? systemLeast, systemLeast), Math.Min(most ?? systemMost, systemMost));

    private static string? Name(string what, int value, int least, int most, string unit)
    {
        if (value >= least && value <= most)
        {
            return null;
        }

        return value > most
            ? $"requirement failed: {what} {value}{unit} exceeds allowed threshold of {most}{unit}"
            : $"requirement failed: {what} {value}{unit} below allowed threshold of {least}{unit}";
    }
}
