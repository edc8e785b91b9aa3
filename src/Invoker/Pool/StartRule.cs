using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// When an action is given another sandbox and when one is taken from it, by what its runs have shown
/// (docs/decisions/0004-when-to-start-another.md). Guarded by the lock of the slots that own it; no clock.
/// </summary>
internal sealed class StartRule(RoomRules rules, RoomLedger ledger, int maxInstances)
{
    // The first run of a process is many times slower than those that follow; until there were some, only the age of what runs counts.
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

    /// <summary>Those of them that wait for nothing but a core, as far as this action's runs are known.</summary>
    public int ShortRuns => _runs > 0 && _leastUs < rules.ShortRunUs ? Running : 0;

    /// <summary>Loading the code took that long.</summary>
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

    /// <summary>A sandbox is being started, so that what was asked for is done.</summary>
    public void StartBegan() => _oneMore = false;

    /// <summary>There is one sandbox more, or will be one less.</summary>
    public void NumberChanged(long nowUs) => _changedUs = nowUs;

    /// <summary>Nothing waits, or waited until now.</summary>
    public void QueueEmptyUntil(long nowUs) => _queueBusySinceUs = nowUs;

    /// <summary>
    /// A queue that was never empty for long calls for one sandbox more: one hands over once a run, and every core waits for that; so each core
    /// may have one, unless the runs of other actions keep the cores.
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
    /// What a stall of the machine started goes again: with all cores busy, more sandboxes than cores only take the cores from each other while
    /// runs are too short to wait for anything.
    /// </summary>
    public bool HasSurplus(bool coreIdles, long nowUs) =>
        !coreIdles && Running > rules.Cores && _runs >= FirstRuns && _averageUs < rules.ShortRunUs && nowUs - _changedUs > rules.SurplusAfterUs;

    /// <summary>
    /// Waiting is dearer than a start: what waits, shared by those that serve it or soon will, takes longer than a cold
    /// start. The estimate is the average, or the age of the oldest run when that is more: it catches an action that has
    /// just become slow, and one that nobody has seen end yet. An age that a busy machine may give any run says nothing.
    /// </summary>
    /// <param name="waiting">Activations that wait.</param>
    /// <param name="idle">Sandboxes that only wait to be counted by their limit again.</param>
    /// <param name="coming">Sandboxes that are starting or loading the code.</param>
    /// <param name="nowUs">The time.</param>
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
    /// With every core busy each sandbox more makes all runs longer, which would call for still more. So it is then the shortest
    /// run ever seen that counts, and of an age only the part that a run would have had on cores of its own. Runs too short
    /// to have waited for anything gain nothing from more sandboxes than cores.
    /// </summary>
    private double EstimateUs(int coming, long nowUs)
    {
        var known = _runs < FirstRuns || (Running + coming >= rules.Cores && _leastUs < rules.ShortRunUs) ? 0 : ledger.CoreIdles ? _averageUs : _leastUs;
        var age = AgeUs(coming, nowUs);
        return Math.Max(known, ledger.CoreIdles ? age : age / PerCore);
    }

    /// <summary>Microseconds that a run may last longer than others only because the machine is busy.</summary>
    private double HeldUpUs => (rules.HeldUpUs * PerCore) + (ledger.LateUs * 4);

    /// <summary>Runs that share a core: this action's, and with every core busy the short ones of all; at least 1.</summary>
    private double PerCore => Math.Max(1.0, (double)Math.Max(Running, ledger.CoreIdles ? 0 : ledger.ShortRuns) / rules.Cores);

    /// <summary>
    /// Microseconds that the oldest run has lasted, as far as that says something: of an action whose runs are known, one that
    /// lasts calls for one sandbox at a time.
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
