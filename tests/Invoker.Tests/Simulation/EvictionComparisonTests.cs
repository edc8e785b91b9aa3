namespace Frusta.Invoker.Tests.Simulation;

/// <summary>docs/decisions/0013-which-sandbox-goes.md rests on this comparison, and its table is written by it: UPDATE_DOCUMENTS=1.</summary>
public sealed class EvictionComparisonTests
{
    private const string Decision = "docs/decisions/0013-which-sandbox-goes.md";

    [Fact]
    public void The_table_of_the_decision_is_what_the_comparison_gives()
    {
        var page = Path.Combine(Tree.Root, Decision);
        var text = File.ReadAllText(page);
        var from = text.IndexOf("| which one goes |", StringComparison.Ordinal);
        var to = text.IndexOf("\n\n", from, StringComparison.Ordinal) + 1;
        var made = text[..from] + EvictionComparison.Table() + text[to..];
        if (Environment.GetEnvironmentVariable("UPDATE_DOCUMENTS") is "1")
        {
            File.WriteAllText(page, made);
        }

        Assert.Equal(made, File.ReadAllText(page));
    }

    /// <summary>Least recently used ends each sandbox of a cycle just before it is called again.</summary>
    [Fact]
    public void Of_a_cycle_larger_than_the_room_a_good_part_stays_warm_and_nothing_else_is_worse_for_it()
    {
        var old = EvictionPolicy.All(EvictionComparison.Seed)[0];
        var chosen = EvictionPolicy.Chosen(EvictionComparison.Seed);
        foreach (var trace in EvictionComparison.Traces())
        {
            var isCycle = trace.Name.StartsWith("cycle", StringComparison.Ordinal);
            var (before, _) = EvictionComparison.Play(trace, old());
            var (after, _) = EvictionComparison.Play(trace, chosen());
            var best = Math.Min(1.0, 1_000.0 / trace.Actions.Count);
            Assert.InRange(after, isCycle ? best / 2 : before - 0.1, 1);
            Assert.Equal(isCycle ? 0 : before, before);
        }
    }
}
