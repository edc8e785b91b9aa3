using System.Globalization;
using System.Text;

namespace Frusta.Invoker.Tests.Simulation;

/// <summary>Calls of one pattern, the same for each policy: docs/decisions/0013-which-sandbox-goes.md has the outcome.</summary>
/// <param name="Name">As the decision names it.</param>
/// <param name="Actions">What is called.</param>
/// <param name="Calls">Their numbers in order.</param>
internal sealed record EvictionTrace(string Name, IReadOnlyList<ComparedAction> Actions, IReadOnlyList<int> Calls);

/// <summary>Plays traces to policies in a room for a thousand sandboxes of the common size, and counts the warm calls.</summary>
internal static class EvictionComparison
{
    public const int Seed = 20261130;
    private const double CommonMb = 10;
    private const double CommonStartMs = 60;
    private const double RoomMb = 1_000 * CommonMb;
    private const int Calls = 30_000;

    /// <summary>The rows of the decision's table: a policy, then its percent of warm calls for each trace, and of cold starts' time saved for the last.</summary>
    public static string Table()
    {
        var traces = Traces();
        var table = new StringBuilder("| which one goes |");
        traces.ForEach(trace => table.Append(' ').Append(trace.Name).Append(" |"));
        table.Append(" time saved there |\n|---|").Insert(table.Length, "--:|", traces.Count + 1).Append('\n');
        foreach (var fresh in EvictionPolicy.All(Seed))
        {
            table.Append("| ").Append(fresh().Name).Append(" |");
            var saved = 0.0;
            foreach (var trace in traces)
            {
                (var warm, saved) = Play(trace, fresh());
                table.Append(CultureInfo.InvariantCulture, $" {100 * warm:F0} |");
            }

            table.Append(CultureInfo.InvariantCulture, $" {100 * saved:F0} |\n");
        }

        return table.ToString();
    }

    /// <summary>Shares of calls that found a sandbox, and of the time of cold starts that this saved, in the second half of the trace.</summary>
    public static (double Warm, double Saved) Play(EvictionTrace trace, EvictionPolicy policy)
    {
        var resident = new List<ComparedAction>();
        var used = 0.0;
        var counted = 0;
        var warm = 0;
        var saved = 0.0;
        var all = 0.0;
        Forget(trace.Actions);
        for (var call = 0; call < trace.Calls.Count; call++)
        {
            var action = trace.Actions[trace.Calls[call]];
            var isWarm = action.At >= 0;
            if (call >= trace.Calls.Count / 2)
            {
                counted++;
                warm += isWarm ? 1 : 0;
                all += action.StartMs;
                saved += isWarm ? action.StartMs : 0;
            }

            while (!isWarm && used + action.SizeMb > RoomMb)
            {
                var gone = policy.Choose(resident);
                used -= gone.SizeMb;
                Remove(resident, gone);
            }

            if (!isWarm)
            {
                used += action.SizeMb;
                action.At = resident.Count;
                resident.Add(action);
                policy.Started(action);
            }

            action.Uses++;
            action.LastUse = call;
            action.Clock = policy.Clock;
            action.Worth = policy.WorthOf(action);
        }

        return ((double)warm / counted, saved / all);
    }

    /// <summary>The patterns of calls.</summary>
    public static List<EvictionTrace> Traces()
    {
        var random = new Random(Seed);
        return
        [
            Cycle("cycle 1.05", 1_050),
            Cycle("cycle 1.5", 1_500),
            Cycle("cycle 3", 3_000),
            Zipf("zipf 0.8 of 3,000", 3_000, 0.8, random),
            Zipf("zipf 1.0 of 3,000", 3_000, 1.0, random),
            Scan(random),
            Shift(random),
            Mixed(random),
        ];
    }

    private static void Forget(IReadOnlyList<ComparedAction> actions)
    {
        foreach (var action in actions)
        {
            (action.At, action.Uses, action.Clock) = (-1, 0, 0);
        }
    }

    private static void Remove(List<ComparedAction> resident, ComparedAction gone)
    {
        var last = resident[^1];
        resident[gone.At] = last;
        last.At = gone.At;
        resident.RemoveAt(resident.Count - 1);
        (gone.At, gone.Uses) = (-1, 0);
    }

    private static EvictionTrace Cycle(string name, int actions) =>
        new(name, Alike(actions), [.. Enumerable.Range(0, Calls).Select(call => call % actions)]);

    private static EvictionTrace Zipf(string name, int actions, double exponent, Random random)
    {
        var draw = new ZipfDraw(actions, exponent);
        return new EvictionTrace(name, Alike(actions), [.. Enumerable.Range(0, Calls).Select(_ => draw.Next(random))]);
    }

    /// <summary>Every other call is of an action that is called only once.</summary>
    private static EvictionTrace Scan(Random random)
    {
        var draw = new ZipfDraw(1_200, 0.8);
        return new EvictionTrace("zipf 0.8, half called once", Alike(1_200 + (Calls / 2)), [.. Enumerable.Range(0, Calls).Select(call => call % 2 == 0 ? draw.Next(random) : 1_200 + (call / 2))]);
    }

    /// <summary>What is popular changes five times.</summary>
    private static EvictionTrace Shift(Random random)
    {
        var draw = new ZipfDraw(3_000, 1.0);
        return new EvictionTrace("zipf 1.0 that changes", Alike(3_000), [.. Enumerable.Range(0, Calls).Select(call => (draw.Next(random) + (call / 5_000 * 500)) % 3_000)]);
    }

    /// <summary>Sandboxes of 5 to 80 MB, whose starts take 30 to 480 ms, the one independent of the other.</summary>
    private static EvictionTrace Mixed(Random random)
    {
        var draw = new ZipfDraw(3_000, 0.8);
        ComparedAction[] actions = [.. Enumerable.Range(0, 3_000).Select(_ => new ComparedAction(5 << random.Next(5), 30 << random.Next(5)))];
        return new EvictionTrace("mixed, zipf 0.8", actions, [.. Enumerable.Range(0, Calls).Select(_ => draw.Next(random))]);
    }

    private static ComparedAction[] Alike(int count) => [.. Enumerable.Range(0, count).Select(static _ => new ComparedAction(CommonMb, CommonStartMs))];

    private sealed class ZipfDraw
    {
        private readonly double[] _upTo;

        public ZipfDraw(int count, double exponent)
        {
            _upTo = new double[count];
            var sum = 0.0;
            for (var i = 0; i < count; i++)
            {
                sum += 1 / Math.Pow(i + 1, exponent);
                _upTo[i] = sum;
            }
        }

        public int Next(Random random)
        {
            var at = Array.BinarySearch(_upTo, random.NextDouble() * _upTo[^1]);
            return Math.Min(at < 0 ? ~at : at, _upTo.Length - 1);
        }
    }
}
