using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;

namespace Frusta.Invoker.Serve;

/// <summary>
/// Has the pool look at itself now and then: at waiting activations every ten milliseconds while there are any (<see cref="Tick"/>); at the machine's memory
/// and that of idle sandboxes ten times a second; at sandboxes to be paused or ended and actions to be forgotten every second.
/// </summary>
internal sealed class PoolLooks : IAsyncDisposable
{
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    // After a look that measures, nothing is measured for so many times as long as it took: so measuring takes little time however slow it is on this host.
    private const int MeasuringPause = 20;

    private readonly PoolOptions _options;
    private readonly Room _room;
    private readonly ActionEntries _entries;
    private readonly PoolEvents _events;
    private readonly PoolClock _clock;
    private readonly MachineLoad _machine;
    private ITimer? _sweep;
    private ITimer? _look;
    private int _sweeping;
    private int _looking;
    private long _measureAgainUs;

    /// <param name="options">How short of memory the machine must be for idle sandboxes to be ended.</param>
    /// <param name="room">The pool, which says whether an activation waits.</param>
    /// <param name="entries">The actions; those that the pool forgets are removed from it.</param>
    /// <param name="events">Tells the pool of each look.</param>
    /// <param name="clock">The clock.</param>
    public PoolLooks(PoolOptions options, Room room, ActionEntries entries, PoolEvents events, PoolClock clock)
    {
        (_options, _room, _entries, _events, _clock) = (options, room, entries, events, clock);
        _machine = new MachineLoad(clock.Time);
    }

    /// <summary>Begins to look. The first sweep has the stem cells started.</summary>
    public void Start()
    {
        _sweep = _clock.Time.CreateTimer(static looks => ((PoolLooks)looks!).Sweep(), this, TimeSpan.Zero, SweepEvery);
        _look = _clock.Time.CreateTimer(static looks => ((PoolLooks)looks!).Look(), this, LookEvery, LookEvery);
    }

    /// <summary>Ends the looks; none is under way when this has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_sweep is not null)
        {
            await _sweep.DisposeAsync();
        }

        if (_look is not null)
        {
            await _look.DisposeAsync();
        }
    }

    /// <summary>A tick of the timer of all deadlines; false when nothing waits.</summary>
    /// <param name="lateUs">Microseconds that the tick came late.</param>
    public bool Tick(long lateUs)
    {
        if (_room.Ledger.Queued == 0 && !_room.RefillHeldBack)
        {
            return false;
        }

        _events.Tell((room, now, actions) => room.Tick(now, lateUs, _machine.CoreIdles(), actions));
        return true;
    }

    private void Sweep()
    {
        if (Interlocked.Exchange(ref _sweeping, 1) == 1)
        {
            return;
        }

        var forgotten = new List<PoolKey>();
        _events.Tell((room, now, actions) =>
        {
            // Closed slots are forgotten before the pool's actions are carried out: until then a call for their action finds them closed and has to try again.
            room.Sweep(now, actions, forgotten);
            forgotten.ForEach(_entries.Remove);
        });
        Volatile.Write(ref _sweeping, 0);
    }

    private void Look()
    {
        if (Interlocked.Exchange(ref _looking, 1) == 1)
        {
            return;
        }

        var began = _clock.NowUs;
        var measure = began >= _measureAgainUs;
        var missing = _machine.MissingBytes(_options.AvailablePercent, _options.MemoryPressurePercent);
        _events.Tell((room, now, actions) => room.Look(now, missing, measure, actions));
        if (measure)
        {
            var ended = _clock.NowUs;
            _measureAgainUs = ended + (MeasuringPause * (ended - began));
        }

        Volatile.Write(ref _looking, 0);
    }
}
