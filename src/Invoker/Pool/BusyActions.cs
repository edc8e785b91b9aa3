using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// The actions that run or wait for something: ticks look at these alone, however many others idle. Any thread may add an action; all else
/// here is guarded by the room's lock.
/// </summary>
internal sealed class BusyActions
{
    private readonly List<ActionSlots> _seen = [];

    // The actions added since the last look, each linked to the action added before it.
    private ActionSlots? _added;

    /// <summary>The action runs or waits for something from now on. May be called again for the same action only after <see cref="Look"/> has dropped it.</summary>
    public void Add(ActionSlots slots)
    {
        do
        {
            slots.AddedBefore = Volatile.Read(ref _added);
        }
        while (Interlocked.CompareExchange(ref _added, slots, slots.AddedBefore) != slots.AddedBefore);
    }

    /// <summary>Drops the actions that neither run nor wait for anything any more, and gives the others.</summary>
    public List<ActionSlots> Look()
    {
        _seen.RemoveAll(static slots => slots.TryRest());
        Debug.Assert(_seen.Distinct().Count() == _seen.Count, "An action is added once.");
        var slots = Interlocked.Exchange(ref _added, null);
        while (slots is not null)
        {
            _seen.Add(slots);
            (slots.AddedBefore, slots) = (null, slots.AddedBefore);
        }

        return _seen;
    }
}
