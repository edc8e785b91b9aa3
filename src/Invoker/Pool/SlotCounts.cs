namespace Frusta.Invoker.Pool;

/// <summary>The sandboxes and runs of an action at one moment.</summary>
/// <param name="Running">Runs under way.</param>
/// <param name="ShortRuns">Those of them that wait for nothing but a core.</param>
/// <param name="Coming">Sandboxes that start or initialise.</param>
/// <param name="Idle">Sandboxes without an activation.</param>
/// <param name="HeadReceivedUs">When the first waiting activation was received, in microseconds of the pool's clock; <see cref="long.MaxValue"/> when none waits.</param>
internal readonly record struct SlotCounts(int Running, int ShortRuns, int Coming, int Idle, long HeadReceivedUs)
{
    /// <summary>Sandboxes that hold an activation or are starting.</summary>
    public int Busy => Running + Coming;

    /// <summary>All its sandboxes but those that are being ended.</summary>
    public int Sandboxes => Busy + Idle;
}
