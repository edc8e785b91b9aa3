using Frusta.Invoker.Pool;
using Frusta.Runtimes;

namespace Frusta.Invoker.Serve;

/// <summary>Makes the rules of the pool, from the options and the number of sandboxes that the host can hold.</summary>
internal static class PoolRules
{
    public static RoomRules Of(InvokerOptions options, ISandboxFactory factory)
    {
        var capacity = options.Pool.Memory > 0 ? (long)options.Pool.Memory << 20 : MachineLoad.MemoryBytes / 2;
        return new RoomRules
        {
            CapacityBytes = capacity,
            ReserveBytes = options.Pool.ReserveMb > 0 ? (long)options.Pool.ReserveMb << 20 : capacity / 16,
            MostSandboxes = options.Pool.Sandboxes > 0 ? Math.Min(options.Pool.Sandboxes, factory.MostSandboxes) : factory.MostSandboxes,
            StartsAtOnce = options.Pool.StartsAtOnce,
            StartTries = options.Pool.StartTries,
            IdleTimeoutUs = options.Pool.IdleTimeoutMs * 1000L,
            PauseGraceUs = options.Pool.PauseGraceMs * 1000L,
            MaxWaitUs = options.Queue.MaxWaitMs * 1000L,
            MaxQueuedPerAction = options.Queue.PerAction,
            MaxQueuedPerNamespace = options.Queue.PerNamespace,
            MaxQueuedBytesPerNamespace = options.Queue.PerNamespaceBytes,
            MaxQueued = options.Queue.All,
            MaxQueuedBytes = options.Queue.AllBytes,
            StemCells = StemCells(options, factory),
        };
    }

    private static List<StemCellRule> StemCells(InvokerOptions options, ISandboxFactory factory)
    {
        var cells = new List<StemCellRule>();
        foreach (var (family, cell) in options.StemCells)
        {
            cells.Add(new StemCellRule(family, cell.Count, (long)cell.MemoryMb << 20, factory.IsForItsMemoryOnly(family)));
        }

        return cells;
    }
}
