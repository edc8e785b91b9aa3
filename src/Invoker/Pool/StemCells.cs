using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>The stem cells: sandboxes that were started ahead and have no action yet. Guarded by the room's lock.</summary>
internal sealed class StemCells
{
    private const long FirstPauseUs = 1_000_000;
    private const long LongestPauseUs = 60_000_000;
    private readonly RoomRules _rules;
    private readonly RoomLedger _ledger;
    private readonly Family[] _families;

    public StemCells(RoomRules rules, RoomLedger ledger)
    {
        _rules = rules;
        _ledger = ledger;
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

    /// <summary>Takes a cell out; false when it was not ready.</summary>
    public bool Remove(Slot cell)
    {
        if (Of(cell.Family)?.Ready.Remove(cell) is not true)
        {
            return false;
        }

        _ledger.IdleEnds(cell);
        return true;
    }

    /// <summary>Takes out a cell that cannot serve an action of this family with this limit, to be ended; null when there is none.</summary>
    public Slot? TakeOther(string family, long limitBytes)
    {
        foreach (var other in _families)
        {
            if (!other.Rule.Serves(family, limitBytes) && other.Ready is [.., var cell])
            {
                Remove(cell);
                return cell;
            }
        }

        return null;
    }

    /// <summary>A family that has fewer cells than it should, and is not in the pause after a failed start; null when there is none.</summary>
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
        Debug.Assert(family.Starting > 0 && cell is { Owner: null, State: SlotState.Starting });
        family.Starting--;
        family.PauseUs = FirstPauseUs;
        cell.State = SlotState.Idle;
        family.Ready.Add(cell);
    }

    public void StartFailed(string name, long nowUs)
    {
        var family = Of(name)!;
        Debug.Assert(family.Starting > 0);
        family.Starting--;
        family.NotBeforeUs = nowUs + family.PauseUs;
        family.PauseUs = Math.Min(family.PauseUs * 2, LongestPauseUs);
    }

    /// <summary>Asks for the cells to be measured that were not measured of late.</summary>
    public void AskToMeasure(long nowUs, List<PoolAction> actions)
    {
        foreach (var family in _families)
        {
            foreach (var cell in family.Ready)
            {
                if (!cell.MeasureAsked && (cell.MeasuredUs == 0 || nowUs - cell.MeasuredUs >= _rules.MeasureEveryUs))
                {
                    cell.MeasureAsked = true;
                    actions.Add(new PoolAction(PoolActionKind.Measure, cell, null));
                }
            }
        }
    }

    /// <summary>Counts a ready cell by the bytes that it uses.</summary>
    public void Measured(Slot cell, long bytes, long nowUs)
    {
        cell.MeasureAsked = false;
        if (cell.State == SlotState.Idle && cell.Owner is null && bytes > 0)
        {
            cell.MeasuredUs = nowUs;
            _ledger.CountIdle(cell, bytes);
        }
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
