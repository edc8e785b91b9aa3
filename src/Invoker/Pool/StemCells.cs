namespace Frusta.Invoker.Pool;

/// <summary>Sandboxes started ahead, of no action yet. Guarded by the room's lock.</summary>
internal sealed class StemCells
{
    private const long FirstPauseUs = 1_000_000;
    private const long LongestPauseUs = 60_000_000;
    private readonly RoomRules _rules;
    private readonly Family[] _families;

    public StemCells(RoomRules rules)
    {
        _rules = rules;
        _families = new Family[rules.StemCells.Count];
        for (var i = 0; i < _families.Length; i++)
        {
            _families[i] = new Family(rules.StemCells[i]);
        }
    }

    public int Ready
    {
        get
        {
            var ready = 0;
            foreach (var family in _families)
            {
                ready += family.Ready.Count;
            }

            return ready;
        }
    }

    public long ReadyBytes
    {
        get
        {
            long bytes = 0;
            foreach (var family in _families)
            {
                bytes += family.Ready.Count * family.Rule.LimitBytes;
            }

            return bytes;
        }
    }

    /// <summary>A ready cell for an action of the family with this limit, or null. It stays until it is removed.</summary>
    public Slot? Find(string family, long limitBytes) => Of(family) is { Ready: [.., var last] } own && own.Rule.Serves(family, limitBytes) ? last : null;

    public bool Remove(Slot cell) => Of(cell.Family)?.Ready.Remove(cell) ?? false;

    /// <summary>Takes a cell out that does not serve such an action, to be ended for want of room.</summary>
    public Slot? TakeOther(string family, long limitBytes)
    {
        foreach (var other in _families)
        {
            if (!other.Rule.Serves(family, limitBytes) && other.Ready is [.., var cell])
            {
                other.Ready.RemoveAt(other.Ready.Count - 1);
                return cell;
            }
        }

        return null;
    }

    /// <summary>A family that has less than it should, and whose last start did not just fail.</summary>
    public StemCellRule? Missing(long nowUs)
    {
        foreach (var family in _families)
        {
            if (family.Ready.Count + family.Starting < family.Rule.Count && nowUs >= family.NotBeforeUs)
            {
                return family.Rule;
            }
        }

        return null;
    }

    public void Starting(string family) => Of(family)!.Starting++;

    public void Started(Slot cell)
    {
        var family = Of(cell.Family)!;
        family.Starting--;
        family.PauseUs = FirstPauseUs;
        cell.State = SlotState.Idle;
        family.Ready.Add(cell);
    }

    public void StartFailed(string name, long nowUs)
    {
        var family = Of(name)!;
        family.Starting--;
        family.NotBeforeUs = nowUs + family.PauseUs;
        family.PauseUs = Math.Min(family.PauseUs * 2, LongestPauseUs);
    }

    /// <summary>Asks for a measurement of those that are ready for a while.</summary>
    public void Sweep(long nowUs, List<PoolAction> actions)
    {
        foreach (var family in _families)
        {
            foreach (var cell in family.Ready)
            {
                if (!cell.MeasureAsked && cell.MeasuredBytes == 0 && nowUs - cell.SinceUs > _rules.MeasureAfterUs)
                {
                    cell.MeasureAsked = true;
                    actions.Add(new PoolAction(PoolActionKind.Measure, cell, null));
                }
            }
        }
    }

    /// <summary>Counts a ready cell by what it uses. Gives the bytes that this frees.</summary>
    public long Measured(Slot cell, long bytes)
    {
        cell.MeasureAsked = false;
        var counted = bytes + _rules.IdleMarginBytes;
        if (cell.State != SlotState.Idle || bytes == 0 || counted >= cell.ChargedBytes)
        {
            return 0;
        }

        var freed = cell.ChargedBytes - counted;
        cell.MeasuredBytes = bytes;
        cell.ChargedBytes = counted;
        return freed;
    }

    private Family? Of(string name)
    {
        foreach (var family in _families)
        {
            if (string.Equals(family.Rule.Family, name, StringComparison.Ordinal))
            {
                return family;
            }
        }

        return null;
    }

    private sealed class Family(StemCellRule rule)
    {
        public StemCellRule Rule { get; } = rule;

        public List<Slot> Ready { get; } = [];

        public int Starting { get; set; }

        public long PauseUs { get; set; } = FirstPauseUs;

        public long NotBeforeUs { get; set; }
    }
}
