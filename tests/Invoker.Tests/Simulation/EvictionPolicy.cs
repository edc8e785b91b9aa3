using System.Runtime.InteropServices;

namespace Frusta.Invoker.Tests.Simulation;

/// <summary>An action of the comparison: what its sandbox takes of the room, and what its cold start costs.</summary>
internal sealed class ComparedAction(double sizeMb, double startMs)
{
    public double SizeMb { get; } = sizeMb;

    public double StartMs { get; } = startMs;

    /// <summary>Place among those that have a sandbox; -1 when it has none.</summary>
    public int At { get; set; } = -1;

    /// <summary>Calls since its sandbox was started.</summary>
    public long Uses { get; set; }

    /// <summary>Number of the call that used it last.</summary>
    public long LastUse { get; set; }

    /// <summary>The policy's clock when it was used last.</summary>
    public double Clock { get; set; }

    /// <summary>Whether a first use of this sandbox is worth something.</summary>
    public bool FirstUseCounts { get; set; }

    /// <summary>Its worth to the policy since it was used last: only a use changes it, and the least of a thousand is looked for at each cold start.</summary>
    public double Worth { get; set; }
}

/// <summary>Which sandbox goes when the room is full.</summary>
/// <param name="random">Draws the sample.</param>
/// <param name="sample">How many are drawn, of which the one of least worth goes; 0 means all.</param>
internal abstract class EvictionPolicy(Random random, int sample)
{
    public abstract string Name { get; }

    /// <summary>The policy's notion of time, noted in an action whenever it is used.</summary>
    public virtual double Clock => 0;

    /// <summary>The sandbox of least worth.</summary>
    public virtual ComparedAction Choose(List<ComparedAction> all)
    {
        var each = CollectionsMarshal.AsSpan(all);
        ComparedAction? least = null;
        for (var i = 0; i < (sample > 0 ? sample : each.Length); i++)
        {
            var action = each[sample > 0 ? random.Next(each.Length) : i];
            least = least is null || action.Worth < least.Worth ? action : least;
        }

        return least!;
    }

    /// <summary>The worth of a sandbox that was just used.</summary>
    public abstract double WorthOf(ComparedAction action);

    /// <summary>A sandbox is started for the action.</summary>
    public virtual void Started(ComparedAction action)
    {
    }

    /// <summary>All that the comparison is between: what makes a fresh one of each.</summary>
    public static IReadOnlyList<Func<EvictionPolicy>> All(int seed) =>
    [
        () => new LeastRecentlyUsed(new Random(seed), sample: 0),
        () => new LeastRecentlyUsed(new Random(seed), sample: 8),
        () => new AnyOne(new Random(seed)),
        () => new LeastFrequentlyUsed(new Random(seed)),
        () => new GreedyDual(new Random(seed), "Greedy-Dual", sample: 0, mostUses: 1, firstUseCountsOf: 1),
        () => new GreedyDual(new Random(seed), "Greedy-Dual with frequency, all of it", sample: 0, mostUses: long.MaxValue, firstUseCountsOf: 1),
        () => new GreedyDual(new Random(seed), "with frequency up to 16", sample: 0, mostUses: 16, firstUseCountsOf: 1),
        () => new GreedyDual(new Random(seed), "and the first use of one in 4", sample: 0, mostUses: 16, firstUseCountsOf: 4),
        () => new GreedyDual(new Random(seed), "and the first use of one in 8", sample: 0, mostUses: 16, firstUseCountsOf: 8),
        () => new GreedyDual(new Random(seed), "the same, least of 16", sample: 16, mostUses: 16, firstUseCountsOf: 8),
        Chosen(seed),
    ];

    /// <summary>As the pool does it.</summary>
    public static Func<EvictionPolicy> Chosen(int seed) => () => new GreedyDual(new Random(seed), "**the same, least of 32**", sample: 32, mostUses: 16, firstUseCountsOf: 8);

    private sealed class LeastRecentlyUsed(Random random, int sample) : EvictionPolicy(random, sample)
    {
        public override string Name { get; } = sample > 0 ? "least recently used of 8" : "least recently used";

        public override double WorthOf(ComparedAction action) => action.LastUse;
    }

    private sealed class AnyOne(Random random) : EvictionPolicy(random, sample: 1)
    {
        public override string Name => "any one";

        public override double WorthOf(ComparedAction action) => 0;
    }

    private sealed class LeastFrequentlyUsed(Random random) : EvictionPolicy(random, sample: 0)
    {
        public override string Name => "least frequently used";

        public override double WorthOf(ComparedAction action) => action.Uses;
    }

    /// <summary>Worth is the clock of the last use, and what the uses would have cost as cold starts, for each megabyte. The clock is the worth of what was ended last.</summary>
    private sealed class GreedyDual(Random random, string name, int sample, long mostUses, int firstUseCountsOf) : EvictionPolicy(random, sample)
    {
        private double _clock;
        private int _started;

        public override string Name => name;

        public override double Clock => _clock;

        public override void Started(ComparedAction action) => action.FirstUseCounts = ++_started % firstUseCountsOf == 0;

        public override ComparedAction Choose(List<ComparedAction> all)
        {
            var least = base.Choose(all);
            _clock = Math.Max(_clock, least.Worth);
            return least;
        }

        public override double WorthOf(ComparedAction action) =>
            action.Clock + ((action.Uses > 1 || action.FirstUseCounts ? Math.Min(action.Uses, mostUses) : 0) * action.StartMs / action.SizeMb);
    }
}
