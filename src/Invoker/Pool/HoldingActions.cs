using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>The actions that have sandboxes. Finds the idle sandbox that is worth least, and those that are to be measured. Guarded by the room's lock.</summary>
/// <param name="rules">The figures.</param>
internal sealed class HoldingActions(RoomRules rules)
{
    private readonly List<ActionSlots> _all = [];
    private readonly List<Slot> _grown = [];

    // The state of the random numbers; any number but 0. They are the same in each process, so that a simulation can be played again.
    private ulong _next = 0x9E3779B97F4A7C15;
    private long _nothingIdleBeforeUs;
    private long _limitBytes;
    private int _measureAt;

    /// <summary>The action gets a sandbox.</summary>
    public void Add(ActionSlots slots)
    {
        _limitBytes += slots.LimitBytes;
        slots.Use.SandboxBytes += slots.LimitBytes;
        if (slots.HoldingAt < 0)
        {
            slots.HoldingAt = _all.Count;
            _all.Add(slots);
        }
    }

    /// <summary>A sandbox of the action is gone.</summary>
    public void Remove(ActionSlots slots)
    {
        _limitBytes -= slots.LimitBytes;
        slots.Use.SandboxBytes -= slots.LimitBytes;
        Debug.Assert(_limitBytes >= 0 && slots.Use.SandboxBytes >= 0, "More sandboxes have gone than came.");
        Debug.Assert(slots.HoldingAt < 0 || _all[slots.HoldingAt] == slots);
        if (slots.HoldingAt >= 0 && slots.Count().Sandboxes == 0)
        {
            var last = _all[^1];
            _all[slots.HoldingAt] = last;
            last.HoldingAt = slots.HoldingAt;
            _all.RemoveAt(_all.Count - 1);
            slots.HoldingAt = -1;
        }
    }

    /// <summary>The sandbox was seen to grow while it was idle: it is ended first, unless it runs before.</summary>
    public void Grew(Slot slot)
    {
        if (slot.GrownAt < 0)
        {
            slot.GrownAt = _grown.Count;
            _grown.Add(slot);
        }
    }

    /// <summary>Takes the sandbox from the list of those that grew, if it is there.</summary>
    public void Forget(Slot slot)
    {
        if (slot.GrownAt >= 0)
        {
            var last = _grown[^1];
            _grown[slot.GrownAt] = last;
            last.GrownAt = slot.GrownAt;
            _grown.RemoveAt(_grown.Count - 1);
            slot.GrownAt = -1;
        }
    }

    /// <summary>Forgets that no idle sandbox was found: there may be some again.</summary>
    public void BeginRound() => _nothingIdleBeforeUs = 0;

    /// <summary>
    /// Takes out an idle sandbox to be ended: one that grew, else the one of least worth among a sample of the actions, where those go first whose
    /// namespace has more than an equal part of all sandboxes. Null when there is none.
    /// </summary>
    /// <param name="idleBeforeUs">Before when it must have become idle, in microseconds of the pool's clock.</param>
    /// <param name="namespaces">How many namespaces the pool knows.</param>
    /// <param name="wanting">The action for which it is ended, whose own sandboxes stay; null when there is none.</param>
    /// <param name="evenWaited">True to take also sandboxes of actions whose activations wait, and all but one of <paramref name="wanting"/>.</param>
    /// <param name="worth">Its worth; 0 when it grew.</param>
    public Slot? TakeLeast(long idleBeforeUs, int namespaces, ActionSlots? wanting, bool evenWaited, out double worth)
    {
        worth = 0;
        while (_grown is [.., var grown])
        {
            Forget(grown);
            if (grown.Owner!.TakeIfGrown(grown))
            {
                return grown;
            }
        }

        if (idleBeforeUs <= _nothingIdleBeforeUs && !evenWaited)
        {
            return null;
        }

        var least = Look(rules.EvictionSample, idleBeforeUs, namespaces, wanting, evenWaited, out worth) ?? Look(_all.Count, idleBeforeUs, namespaces, wanting, evenWaited, out worth);
        if (least is null)
        {
            _nothingIdleBeforeUs = Math.Max(_nothingIdleBeforeUs, idleBeforeUs);
        }

        return least?.EvictOldest();
    }

    /// <summary>
    /// Asks for idle sandboxes to be measured, at most <see cref="RoomRules.MeasuresAtOnce"/>: first those that had a long run, for at most three quarters of
    /// that number, then the others in turn.
    /// </summary>
    public void AskToMeasure(long nowUs, List<PoolAction> actions)
    {
        var left = rules.MeasuresAtOnce;
        for (var i = 0; i < _all.Count && left > rules.MeasuresAtOnce / 4; i++)
        {
            var slots = _all[(_measureAt + i) % _all.Count];
            left -= slots.HasUnseen ? slots.AskToMeasure(left - (rules.MeasuresAtOnce / 4), unseenOnly: true, nowUs, actions) : 0;
        }

        for (var i = 0; i < _all.Count && left > 0; i++)
        {
            // An action with more sandboxes than may be measured now is the first at the next look.
            _measureAt %= _all.Count;
            left -= _all[_measureAt].AskToMeasure(left, unseenOnly: false, nowUs, actions);
            _measureAt += left > 0 ? 1 : 0;
        }
    }

    private ActionSlots? Look(int sample, long idleBeforeUs, int namespaces, ActionSlots? wanting, bool evenWaited, out double worth)
    {
        ActionSlots? least = null;
        worth = double.MaxValue;
        var leastIsAbove = false;
        var all = sample >= _all.Count;
        for (var i = 0; i < Math.Min(sample, _all.Count); i++)
        {
            var slots = _all[all ? i : Draw(_all.Count)];
            var isAbove = slots.Use.SandboxBytes >= _limitBytes / Math.Max(1, namespaces);
            if ((slots == wanting && !evenWaited) || (leastIsAbove && !isAbove)
                || slots.LeastWorth(idleBeforeUs, left: slots == wanting ? 1 : 0, evenWaited) is not (< double.MaxValue and var other))
            {
                continue;
            }

            if (other < worth || (isAbove && !leastIsAbove))
            {
                (least, worth, leastIsAbove) = (slots, other, isAbove);
            }
        }

        return least;
    }

    private int Draw(int count)
    {
        _next ^= _next << 13;
        _next ^= _next >> 7;
        _next ^= _next << 17;
        return (int)(_next % (uint)count);
    }
}
