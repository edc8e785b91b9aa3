using Frusta.Runtimes.Families;

namespace Frusta.Invoker;

/// <summary>How this invoker uses its machine (section <c>Invoker</c>).</summary>
public sealed class InvokerOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Invoker";

    /// <summary>Number of this invoker, as operators see it: <c>invoker0</c>. 0 to 9999.</summary>
    public int Number { get; set; }

    /// <summary>Milliseconds that running activations get to end when the server stops. 0 to 600000.</summary>
    public int DrainMs { get; set; } = 30_000;

    /// <summary>Milliseconds that a sandbox may need to come up. 100 to 600000.</summary>
    public int StartTimeoutMs { get; set; } = 30_000;

    public PoolOptions Pool { get; set; } = new();

    public QueueOptions Queue { get; set; } = new();

    /// <summary>Sandboxes started ahead, by family of interpreter; 0 keeps none. 0 to 100 each.</summary>
    public Dictionary<string, StemCellOptions> StemCells { get; set; } = RuntimeFamilies.All.ToDictionary(
        static family => family.Name, static family => new StemCellOptions { Count = family.StemCells }, StringComparer.Ordinal);

    /// <summary>A sentence on the first rule that is broken, with key, rule and value; null when all rules hold.</summary>
    public string? Validate()
    {
        (string Key, long Value, long Least, long Greatest)[] rules =
        [
            (nameof(Number), Number, 0, 9999),
            (nameof(DrainMs), DrainMs, 0, 600_000),
            (nameof(StartTimeoutMs), StartTimeoutMs, 100, 600_000),
            ("Pool:Memory", Pool.Memory, 0, 16L << 20),
            ("Pool:ReserveMb", Pool.ReserveMb, 0, 16L << 20),
            ("Pool:Sandboxes", Pool.Sandboxes, 0, 1_000_000),
            ("Pool:StartsAtOnce", Pool.StartsAtOnce, 1, 1000),
            ("Pool:StartTries", Pool.StartTries, 1, 100),
            ("Pool:IdleTimeoutMs", Pool.IdleTimeoutMs, 1000, 86_400_000),
            ("Pool:AvailablePercent", Pool.AvailablePercent, 0, 90),
            ("Pool:PauseGraceMs", Pool.PauseGraceMs, 0, 86_400_000),
            ("Pool:MemoryPressurePercent", Pool.MemoryPressurePercent, 1, 100),
            ("Queue:PerAction", Queue.PerAction, 1, 10_000_000),
            ("Queue:PerNamespace", Queue.PerNamespace, 1, 10_000_000),
            ("Queue:PerNamespaceBytes", Queue.PerNamespaceBytes, 1 << 20, 1L << 40),
            ("Queue:All", Queue.All, 1, 10_000_000),
            ("Queue:AllBytes", Queue.AllBytes, 1 << 20, 1L << 40),
            ("Queue:MaxWaitMs", Queue.MaxWaitMs, 1000, 86_400_000),
        ];
        foreach (var (key, value, least, greatest) in rules)
        {
            if (value < least || value > greatest)
            {
                return $"{Section}:{key} must be from {least} to {greatest}, but it is {value}.";
            }
        }

        foreach (var (family, cells) in StemCells)
        {
            if (cells.Count is < 0 or > 100 || cells.MemoryMb is < 32 or > 65_536)
            {
                return $"{Section}:StemCells:{family} must have a Count from 0 to 100 and a MemoryMb from 32 to 65536, but they are {cells.Count} and {cells.MemoryMb}.";
            }
        }

        return null;
    }
}

/// <summary>The room for sandboxes (section <c>Invoker:Pool</c>).</summary>
public sealed class PoolOptions
{
    /// <summary>Megabytes that all sandboxes together may take; 0 is half of what the machine or its cgroup has.</summary>
    public int Memory { get; set; }

    /// <summary>Megabytes of <see cref="Memory"/> that are kept for all idle sandboxes together, in case they use more than was measured; 0 is a sixteenth. A busy sandbox counts by its limit, an idle one by the memory that it uses.</summary>
    public int ReserveMb { get; set; }

    /// <summary>Sandboxes at a time; 0 is as many as the host has networks and users for. More than these there never are.</summary>
    public int Sandboxes { get; set; }

    /// <summary>Sandboxes that may be starting at a time. More than the machine has cores only makes each slower. 1 to 1000.</summary>
    public int StartsAtOnce { get; set; } = Math.Max(2, Environment.ProcessorCount);

    /// <summary>Starts that may fail one after the other before the activations that wait for them are answered. 1 to 100.</summary>
    public int StartTries { get; set; } = 3;

    /// <summary>Milliseconds after which an idle sandbox is ended. 1000 to 86400000.</summary>
    public int IdleTimeoutMs { get; set; } = 600_000;

    /// <summary>Percent of the memory of the machine or its cgroup that must be available: below it idle sandboxes are ended at once. 0 to 90; 0 looks at no memory.</summary>
    public int AvailablePercent { get; set; } = 5;

    /// <summary>Milliseconds after which an idle sandbox is paused: nothing in it runs until the next call. An idle sandbox that uses the cores for more than 50 ms in a second is paused before that, after about two seconds, or ended where sandboxes cannot be paused. 0 to 86400000.</summary>
    public int PauseGraceMs { get; set; } = 10_000;

    /// <summary>Percent of ten seconds in which some process waited for memory (Linux: pressure stall information), above which idle sandboxes are ended while less than a tenth of the machine's memory is available. 1 to 100.</summary>
    public int MemoryPressurePercent { get; set; } = 20;
}

/// <summary>Bounds of the activations that wait for a sandbox (section <c>Invoker:Queue</c>).</summary>
public sealed class QueueOptions
{
    /// <summary>Activations that wait for one action of one namespace. 1 to 10000000.</summary>
    public int PerAction { get; set; } = 10_000;

    /// <summary>Activations of one namespace that wait. 1 to 10000000.</summary>
    public int PerNamespace { get; set; } = 10_000;

    /// <summary>Bytes of the activations of one namespace that wait. 1 MiB to 1 TiB.</summary>
    public long PerNamespaceBytes { get; set; } = 64L << 20;

    /// <summary>Activations that wait in all. 1 to 10000000.</summary>
    public int All { get; set; } = 50_000;

    /// <summary>Bytes of the activations that wait in all. 1 MiB to 1 TiB.</summary>
    public long AllBytes { get; set; } = 256L << 20;

    /// <summary>Milliseconds that an activation may wait for a sandbox; after that it is answered instead of run. 1000 to 86400000.</summary>
    public int MaxWaitMs { get; set; } = 600_000;
}

/// <summary>Stem cells of one family (section <c>Invoker:StemCells:FAMILY</c>).</summary>
public sealed class StemCellOptions
{
    /// <summary>Stem cells that are kept ready. 0 to 100.</summary>
    public int Count { get; set; }

    /// <summary>Megabytes that one may use. A cell of nodejs serves only actions with exactly this limit; a cell of another family gets the limit of its action. 32 to 65536.</summary>
    public int MemoryMb { get; set; } = 256;
}
