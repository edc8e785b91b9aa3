using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;

namespace Frusta.Invoker.Serve;

/// <summary>
/// Has the pool look at itself now and then: what waits, every ten milliseconds while anything does (<see cref="Tick"/>); what idles and what memory the
/// machine has left, ten times a second; what is to be forgotten, every second.
/// </summary>
internal sealed class PoolLooks : IAsyncDisposable
{
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    // A look that measures is followed by a pause so many times as long as it took, however dear measuring is on this host.
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

    /// <param name="options">From which shortage of memory on idle sandboxes are ended.</param>
    /// <param name="room">The pool, for whether anything waits.</param>
    /// <param name="entries">The actions, from which those that the pool forgets are taken.</param>
    /// <param name="events">Tells the pool.</param>
    /// <param name="clock">The clock.</param>
    public PoolLooks(PoolOptions options, Room room, ActionEntries entries, PoolEvents events, PoolClock clock)
    {
        (_options, _room, _entries, _events, _clock) = (options, room, entries, events, clock);
        _machine = new MachineLoad(clock.Time);
    }

    /// <summary>Begins to look. Stem cells come up behind the first sweep.</summary>
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
            // What is closed is forgotten before anything else is done: until then a call for it comes here in vain.
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
