using Frusta.Contracts.Names;
using Frusta.Journal;
using Frusta.Store.Activations;

namespace Frusta.Store.Tests.Activations;

public sealed class ActivationTailTests
{
    [Fact]
    public async Task What_is_collected_while_entries_are_added_has_no_gaps()
    {
        const int Entries = 3_000_000;
        var tail = new ActivationTail();
        var adding = Task.Run(() =>
        {
            for (var i = 0; i < Entries; i++)
            {
                tail.Add(new TailEntry(new ActivationId(1, (ulong)i), "acme", "work", i, new LogPosition(1, i, 1), Kept: true));
                if (i % 1024 == 0)
                {
                    tail.CutUpTo(new LogPosition(1, i, 1));
                }
            }
        }, TestContext.Current.CancellationToken);

        var found = new List<TailEntry>();
        do
        {
            found.Clear();
            tail.Collect(new ActivationQuery("acme"), found);
            for (var i = 1; i < found.Count; i++)
            {
                Assert.Equal(found[i - 1].StartMs + 1, found[i].StartMs);
            }
        }
        while (!adding.IsCompleted);

        await adding;
        Assert.NotEmpty(found);
    }
}
