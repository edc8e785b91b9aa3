namespace Frusta.Invoker.Pool;

/// <summary>The states of a sandbox, in the order of its life.</summary>
internal enum SlotState : byte
{
    /// <summary>Its process is being started; it serves nothing yet.</summary>
    Starting,

    /// <summary>Waits: as a stem cell when it has no owner, else for the next activation of its action.</summary>
    Idle,

    /// <summary>Holds an activation and loads the code for it.</summary>
    Initialising,

    /// <summary>Runs one activation.</summary>
    Running,

    /// <summary>Is being ended; its memory counts until that is done.</summary>
    Stopping,

    Gone,
}

/// <summary>One sandbox as the pool sees it. Guarded by the lock of its owner, or by the room's while it has none.</summary>
internal sealed class Slot(int number, string family, long limitBytes)
{
    public int Number { get; } = number;

    /// <summary>Which interpreter runs in it; a stem cell serves every kind of its family.</summary>
    public string Family { get; } = family;

    /// <summary>Bytes that it may use; changes when a stem cell is specialised.</summary>
    public long LimitBytes { get; set; } = limitBytes;

    /// <summary>Bytes that the room counts for it now.</summary>
    public long ChargedBytes { get; set; } = limitBytes;

    /// <summary>Bytes of its limit that the room does not count while it is idle, though it may come to use them.</summary>
    public long SlackBytes => LimitBytes - ChargedBytes;

    /// <summary>Bytes that it was seen to use while idle; 0 when never measured.</summary>
    public long MeasuredBytes { get; set; }

    /// <summary>When it was measured last, in microseconds of the pool's clock.</summary>
    public long MeasuredUs { get; set; }

    /// <summary>False until it was measured after its last run that was long enough to change its use of memory.</summary>
    public bool IsSeen { get; set; }

    /// <summary>Bytes that it was seen to use when it was first measured after its last run; 0 before that.</summary>
    public long FirstIdleBytes { get; set; }

    /// <summary>True when it was seen to grow while it was idle, and has not run since.</summary>
    public bool HasGrown { get; set; }

    /// <summary>Place among those that grew (<see cref="HoldingActions"/>); -1 when it is none of them. Guarded by the room's lock.</summary>
    public int GrownAt { get; set; } = -1;

    /// <summary>Runs that it has begun.</summary>
    public int Uses { get; set; }

    /// <summary><see cref="RoomLedger.WorthOfLastEnded"/> when its last run began.</summary>
    public double WorthThen { get; set; }

    /// <summary>The action that it belongs to; null for a stem cell.</summary>
    public ActionSlots? Owner { get; set; }

    public SlotState State { get; set; }

    /// <summary>True once the code was loaded.</summary>
    public bool Initialised { get; set; }

    /// <summary>True while a measurement that was asked for is under way.</summary>
    public bool MeasureAsked { get; set; }

    /// <summary>Whether it stands still while it is idle.</summary>
    public SlotPause Pause { get; } = new();

    /// <summary>When it became idle, or began to initialise or to run, in microseconds of the pool's clock.</summary>
    public long SinceUs { get; set; }

    /// <summary>The neighbour with the next older run in the owner's list of running slots.</summary>
    public Slot? Earlier { get; set; }

    /// <summary>The neighbour with the next younger run.</summary>
    public Slot? Later { get; set; }

    /// <summary>The running sandbox itself, which the pool never looks into; set before the slot is first handed out.</summary>
    public object? Content { get; set; }
}
