namespace Frusta.Invoker.Pool;

/// <summary>Whether an idle sandbox stands still.</summary>
internal enum PauseState : byte
{
    /// <summary>It runs: always while it holds an activation, and for the grace after.</summary>
    Awake,

    /// <summary>It is being paused.</summary>
    Pausing,

    /// <summary>Nothing in it runs.</summary>
    Paused,
}

/// <summary>
/// The pause of an idle sandbox, and the last look at its use of the cores. Guarded by the lock of its owner, but the thread that carries a pause out may read
/// the state.
/// </summary>
internal sealed class SlotPause
{
    private volatile PauseState _state;

    /// <summary>Whether it can be paused at all; set before it is first handed out.</summary>
    public bool IsPossible { get; set; }

    public PauseState State
    {
        get => _state;
        set => _state = value;
    }

    /// <summary>True while a look that was asked for is under way.</summary>
    public bool LookAsked { get; set; }

    /// <summary>Since when it was idle when that look was asked for: if a run came between, the look is worthless.</summary>
    public long AskedInUs { get; set; }

    /// <summary>Since when it was idle at the last look.</summary>
    public long SeenInUs { get; set; }

    /// <summary>When the last look was.</summary>
    public long SeenUs { get; set; }

    /// <summary>Microseconds of the cores that it had used by then.</summary>
    public long SeenCpuUs { get; set; }

    /// <summary>Marks it as awake, since it is given an activation. True when it must be resumed first.</summary>
    public bool Wake()
    {
        var wasAwake = _state == PauseState.Awake;
        _state = PauseState.Awake;
        return !wasAwake;
    }
}
