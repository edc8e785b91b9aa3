namespace Frusta.Invoker.Pool;

/// <summary>The figures that the pool decides by: <see cref="InvokerOptions"/> in bytes and microseconds.</summary>
internal sealed record RoomRules
{
    /// <summary>Bytes that all sandboxes together may take.</summary>
    public required long CapacityBytes { get; init; }

    /// <summary>Cores of this machine.</summary>
    public int Cores { get; init; } = Environment.ProcessorCount;

    /// <summary>The most bytes of the room that are kept for all idle sandboxes together, in case they use more than was measured.</summary>
    public long ReserveBytes { get; init; }

    /// <summary>Sandboxes that this host can hold, however little memory they use.</summary>
    public int MostSandboxes { get; init; } = int.MaxValue;

    /// <summary>Sandboxes that may be starting at a time.</summary>
    public int StartsAtOnce { get; init; } = 4;

    /// <summary>Starts that may fail one after the other before the activations that wait for them are answered.</summary>
    public int StartTries { get; init; } = 3;

    /// <summary>Microseconds after which an idle sandbox is ended.</summary>
    public long IdleTimeoutUs { get; init; } = 600_000_000;

    /// <summary>Microseconds after which an idle sandbox is measured again.</summary>
    public long MeasureEveryUs { get; init; } = 5_000_000;

    /// <summary>Idle sandboxes that are measured at one look, ten times a second, so that the cost does not grow with the number of sandboxes.</summary>
    public int MeasuresAtOnce { get; init; } = 10;

    /// <summary>Microseconds of a run after which a sandbox is measured before others: shorter ones have no time to fill much memory.</summary>
    public long LongRunUs { get; init; } = 10_000;

    /// <summary>Bytes, and a quarter, by which an idle sandbox must have grown to be the first that is ended.</summary>
    public long GrownBytes { get; init; } = 4L << 20;

    /// <summary>Actions that are looked at to find the idle sandbox of least worth.</summary>
    public int EvictionSample { get; init; } = 32;

    /// <summary>Runs of a sandbox beyond which further ones add nothing to its worth, so that a sandbox that was popular once is ended some day.</summary>
    public int MostUses { get; init; } = 16;

    /// <summary>
    /// Of so many sandboxes that ran once, one counts that run in its worth. When more actions than have room are called in a cycle, these few are still there
    /// for their next call; if all were worth the same, each would be ended before it.
    /// </summary>
    public int FirstUseCountsOf { get; init; } = 8;

    /// <summary>Microseconds after which an idle sandbox is paused.</summary>
    public long PauseGraceUs { get; init; } = 10_000_000;

    /// <summary>Microseconds after which an idle sandbox is first looked at for its use of the cores. Many are idle for less, again and again.</summary>
    public long LookAfterUs { get; init; } = 250_000;

    /// <summary>Least microseconds between two looks at a sandbox: a sweep that comes late, and the next one in time, are too close to measure by.</summary>
    public long LookEveryUs { get; init; } = 800_000;

    /// <summary>Microseconds of the cores in a second above which an idle sandbox is paused before its time, or ended where that is not possible.</summary>
    public long BurningCpuUs { get; init; } = 50_000;

    /// <summary>Idle sandboxes that are looked at in a sweep; each look costs some 20 us.</summary>
    public int LooksPerSweep { get; init; } = 1000;

    /// <summary>Microseconds that an activation may wait.</summary>
    public long MaxWaitUs { get; init; } = 600_000_000;

    /// <summary>Microseconds that a cold start is taken to cost before one was seen.</summary>
    public long FirstColdStartUs { get; init; } = 50_000;

    /// <summary>Microseconds that another sandbox must have been idle to be ended only so that an action gets one more.</summary>
    public long SpareIdleUs { get; init; } = 1_000_000;

    /// <summary>Microseconds without any room after which a running sandbox of a greater user is asked for at its next end.</summary>
    public long YieldAfterUs { get; init; } = 200_000;

    /// <summary>Microseconds for which an action may be short of room before no action behind it is given any.</summary>
    public long NoOvertakingAfterUs { get; init; } = 1_000_000;

    /// <summary>
    /// Microseconds for which a queue was never empty after which its action gets one more sandbox, if a core idles or the action has fewer running sandboxes
    /// than there are cores.
    /// </summary>
    public long BusyQueueUs { get; init; } = 250_000;

    /// <summary>Microseconds, for each run that shares a core, for which a busy machine may hold up any run: a run of that age is not yet taken for slow.</summary>
    public long HeldUpUs { get; init; } = 30_000;

    /// <summary>Microseconds below which a run is taken to wait for nothing but its core.</summary>
    public long ShortRunUs { get; init; } = 1_000;

    /// <summary>
    /// Microseconds since an action's number of sandboxes last changed after which one is ended, if it runs more than there are cores, its runs are short, and
    /// all cores are busy.
    /// </summary>
    public long SurplusAfterUs { get; init; } = 2_000_000;

    public int MaxQueuedPerAction { get; init; } = 10_000;

    public int MaxQueuedPerNamespace { get; init; } = 10_000;

    public long MaxQueuedBytesPerNamespace { get; init; } = 64L << 20;

    public int MaxQueued { get; init; } = 50_000;

    public long MaxQueuedBytes { get; init; } = 256L << 20;

    /// <summary>
    /// Microseconds after a start, or after a stem cell was taken, for which no stem cell is started: its start would take the cores from the call that waits.
    /// </summary>
    public long RefillAfterUs { get; init; } = 30_000;

    /// <summary>Stem cells to keep.</summary>
    public IReadOnlyList<StemCellRule> StemCells { get; init; } = [];
}

/// <summary>How many stem cells of one family are kept ready, and how large they are until they are specialised.</summary>
/// <param name="Family">Such as <c>nodejs</c>.</param>
/// <param name="Count">Cells to keep.</param>
/// <param name="LimitBytes">Bytes that each may use.</param>
/// <param name="ForItsMemoryOnly">True when they serve only actions with exactly this limit.</param>
internal sealed record StemCellRule(string Family, int Count, long LimitBytes, bool ForItsMemoryOnly = false)
{
    /// <summary>Whether a cell can become a sandbox of an action of this family with this limit.</summary>
    public bool Serves(string family, long limitBytes) =>
        string.Equals(Family, family, StringComparison.Ordinal) && (!ForItsMemoryOnly || LimitBytes == limitBytes);
}
