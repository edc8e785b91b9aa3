using Frusta.Contracts.Messages;

namespace Frusta.Invoker.Run;

/// <summary>How an init or a run ended; its result stands in a buffer beside it.</summary>
/// <param name="Status">The status.</param>
/// <param name="Size">Length of the response as the record gives it; null when no body was read.</param>
/// <param name="TimedOut">True when the time limit was exceeded.</param>
/// <param name="LastWords">A line that ends the standard error of the activation, or null.</param>
/// <param name="BreaksSandbox">True when the sandbox is gone, or its answers cannot be trusted any more.</param>
internal readonly record struct Verdict(ActivationStatus Status, long? Size = null, bool TimedOut = false, string? LastWords = null, bool BreaksSandbox = false)
{
    /// <summary>After a developer or platform error the sandbox is not used again.</summary>
    public bool KeepsSandbox => Status <= ActivationStatus.ApplicationError && !BreaksSandbox;
}
