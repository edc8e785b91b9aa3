using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>The actions that need something of the room, and the order in which they get it. Guarded by the room's lock.</summary>
internal sealed class WantingActions
{
    private readonly List<ActionSlots> _all = [];
    private readonly List<Turn> _turns = [];

    public int Count => _all.Count;

    /// <summary>False when it is among them already.</summary>
    public bool TryAdd(ActionSlots slots)
    {
        if (slots.WantingAt >= 0)
        {
            return false;
        }

        slots.WantingAt = _all.Count;
        _all.Add(slots);
        return true;
    }

    public void Remove(ActionSlots slots)
    {
        if (slots.WantingAt >= 0)
        {
            Debug.Assert(_all[slots.WantingAt] == slots);
            var last = _all[^1];
            _all[slots.WantingAt] = last;
            last.WantingAt = slots.WantingAt;
            _all.RemoveAt(_all.Count - 1);
            slots.WantingAt = -1;
        }
    }

    /// <summary>All of them, first those whose namespace has had least, and within a namespace first the action whose activation has waited for longest.</summary>
    public IReadOnlyList<Turn> InTurn()
    {
        _turns.Clear();
        foreach (var slots in _all)
        {
            _turns.Add(new Turn(slots));
        }

        _turns.Sort(Turn.Compare);
        return _turns;
    }

    /// <summary>True when another action, whose turn comes before this one's, has been short of room since before that time.</summary>
    public bool WaitsBefore(ActionSlots slots, long blockedBeforeUs)
    {
        foreach (var other in _all)
        {
            if (other != slots && other.BlockedSinceUs != 0 && other.BlockedSinceUs < blockedBeforeUs && Turn.Compare(new Turn(other), new Turn(slots)) <= 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>An action with the figures that decide its turn.</summary>
    /// <param name="Slots">The action.</param>
    /// <param name="Used">Memory times time that its namespace has had.</param>
    /// <param name="HeadReceivedUs">Since when its first activation waits, in microseconds of the pool's clock.</param>
    public readonly record struct Turn(ActionSlots Slots, double Used, long HeadReceivedUs)
    {
        public Turn(ActionSlots slots)
            : this(slots, slots.Use.Used, slots.Count().HeadReceivedUs)
        {
        }

        public static int Compare(Turn one, Turn other) =>
            one.Used == other.Used ? one.HeadReceivedUs.CompareTo(other.HeadReceivedUs) : one.Used.CompareTo(other.Used);
    }
}
