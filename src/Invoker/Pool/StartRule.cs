using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// Decides when an action is given another sandbox and when one is taken from it, by how long its runs took
/// (docs/decisions/0004-when-to-start-another.md). Guarded by the lock of the slots that own it; no clock.
/// </summary>
internal sealed class StartRule(RoomRules rules, RoomLedger ledger, int maxInstances)
{
    // The first run of a process is many times slower than those that follow; until so many runs have ended, only the age of runs under way counts.
    private const int FirstRuns = 32;

    private Slot? _oldestRun;
    private Slot? _newestRun;
    private int _runs;
    private bool _oneMore;
    private double _averageUs;
    private double _leastUs;
    private long _initUs;
    private long _queueBusySinceUs;
    private long _changedUs;

    /// <summary>Microseconds that a cold start costs, without loading the code.</summary>
    public long ColdStartUs { get; set; } = rules.FirstColdStartUs;

    /// <summary>Microseconds that a cold start costs with loading the code.</summary>
    public long StartUs => ColdStartUs + _initUs;

    /// <summary>Sandboxes in which a run is under way.</summary>
    public int Running { get; private set; }

    /// <summary>Running sandboxes whose runs wait for nothing but a core: all of them when the shortest run of the action was short, else none.</summary>
    public int ShortRuns => _runs > 0 && _leastUs < rules.ShortRunUs ? Running : 0;

    /// <summary>Loading the code took so many microseconds.</summary>
    public void Initialised(long tookUs) => _initUs = _initUs == 0 ? tookUs : _initUs + ((tookUs - _initUs) / 4);

    /// <summary>The slot's run begins, at <see cref="Slot.SinceUs"/>.</summary>
    public void RunBegan(Slot slot)
    {
        Debug.Assert(slot is { Earlier: null, Later: null } && slot != _oldestRun, "A slot runs one activation at a time.");
        slot.Earlier = _newestRun;
        slot.Later = null;
        if (_newestRun is null)
        {
            _oldestRun = slot;
        }
        else
        {
            _newestRun.Later = slot;
        }

        _newestRun = slot;
        Running++;
    }

    public void RunEnded(Slot slot, long nowUs)
    {
        _ = slot.Earlier is null ? _oldestRun = slot.Later : slot.Earlier.Later = slot.Later;
        _ = slot.Later is null ? _newestRun = slot.Earlier : slot.Later.Earlier = slot.Earlier;
        slot.Earlier = slot.Later = null;
        Running--;
        Debug.Assert(Running >= 0 && (Running == 0) == (_oldestRun is null) && (_oldestRun is null) == (_newestRun is null));
        var took = nowUs - slot.SinceUs;
        _runs++;
        _leastUs = _runs == 1 ? took : Math.Min(took, _leastUs);
        _averageUs = _runs == 1 || (_runs <= FirstRuns && took < _averageUs) ? took : _averageUs + ((took - _averageUs) / 8);
    }

    /// <summary>A sandbox is being started, so the wish of <see cref="LookAtQueue"/> for one more is met.</summary>
    public void StartBegan() => _oneMore = false;

    /// <summary>The action has one sandbox more, or will have one less.</summary>
    public void NumberChanged(long nowUs) => _changedUs = nowUs;

    /// <summary>No activation has waited until now.</summary>
    public void QueueEmptyUntil(long nowUs) => _queueBusySinceUs = nowUs;

    /// <summary>
    /// Asks for one more sandbox when the queue has not been empty for long. Between two runs in a sandbox its core has to wait; so an action may have a
    /// sandbox for each core, unless the runs of other actions keep the cores busy.
    /// </summary>
    public void LookAtQueue(int waiting, int coming, bool coreIdles, long nowUs)
    {
        if ((coreIdles || Math.Max(Running, ledger.ShortRuns) < rules.Cores) && waiting > 0 && Running > 0 && coming == 0 && nowUs - _queueBusySinceUs > rules.BusyQueueUs)
        {
            _oneMore = true;
            _queueBusySinceUs = nowUs;
        }
    }

    /// <summary>
    /// True when the action has a sandbox too many, for example one started while the machine stalled: all cores are busy, it runs more sandboxes than there
    /// are cores, and its runs are so short that they wait for nothing else, so that these sandboxes only take the cores from each other.
    /// </summary>
    public bool HasSurplus(bool coreIdles, long nowUs) =>
        !coreIdles && Running > rules.Cores && _runs >= FirstRuns && _averageUs < rules.ShortRunUs && nowUs - _changedUs > rules.SurplusAfterUs;

    /// <summary>
    /// True when waiting costs more than a start: the waiting activations, shared by the sandboxes that serve them or soon will, take longer than a cold
    /// start. A run is estimated to take the average, or the age of the oldest run when that is more: so an action counts as slow that has just become
    /// so, or whose first run has not ended yet. An age that any run may reach on a busy machine says nothing.
    /// </summary>
    /// <param name="waiting">Activations that wait.</param>
    /// <param name="idle">Idle sandboxes, which cannot be busy for want of room.</param>
    /// <param name="coming">Sandboxes that are starting or loading the code.</param>
    /// <param name="nowUs">The pool's clock.</param>
    public bool WantsMore(int waiting, int idle, int coming, long nowUs)
    {
        if (waiting == 0)
        {
            return false;
        }

        var serving = Running + coming;
        if (idle > 0 || serving == 0)
        {
            return true;
        }

        if (serving >= maxInstances || coming >= waiting)
        {
            return false;
        }

        return _oneMore || waiting * EstimateUs(coming, nowUs) / serving > StartUs;
    }

    /// <summary>
    /// Microseconds that a run is estimated to take. With every core busy, each further sandbox makes all runs longer, which would call for still more. So
    /// then the shortest run counts instead of the average, and of an age only the part that the run would have had on a core of its own. Runs too short to
    /// have waited for anything gain nothing from more sandboxes than cores.
    /// </summary>
    private double EstimateUs(int coming, long nowUs)
    {
        var known = _runs < FirstRuns || (Running + coming >= rules.Cores && _leastUs < rules.ShortRunUs) ? 0 : ledger.CoreIdles ? _averageUs : _leastUs;
        var age = AgeUs(coming, nowUs);
        return Math.Max(known, ledger.CoreIdles ? age : age / PerCore);
    }

    /// <summary>Microseconds that a run may last longer than others only because the machine is busy.</summary>
    private double HeldUpUs => (rules.HeldUpUs * PerCore) + (ledger.LateUs * 4);

    /// <summary>Runs that share a core: those of this action, or with every core busy the short runs of all actions if these are more; at least 1.</summary>
    private double PerCore => Math.Max(1.0, (double)Math.Max(Running, ledger.CoreIdles ? 0 : ledger.ShortRuns) / rules.Cores);

    /// <summary>
    /// Microseconds that the oldest run has lasted; 0 when a busy machine may be the reason, or when the runs of the action are known and a sandbox is coming
    /// already: a long run calls for one sandbox at a time.
    /// </summary>
    private long AgeUs(int coming, long nowUs)
    {
        if (_runs >= FirstRuns && coming > 0)
        {
            return 0;
        }

        var age = _oldestRun is null ? 0 : nowUs - _oldestRun.SinceUs;
        return age >= HeldUpUs ? age : 0;
    }
}
