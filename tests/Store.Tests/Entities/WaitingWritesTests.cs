using Frusta.Store.Entities;

namespace Frusta.Store.Tests.Entities;

/// <summary>Large writes and small ones have rooms of their own, and turns of their own.</summary>
public sealed class WaitingWritesTests
{
    private const int Queued = 4;
    private const int Large = 100_000;
    private readonly WaitingWrites _waiting = new(new EntityStoreOptions { QueuedWrites = Queued, QueuedBytes = 1 << 20, GroupSize = 3 });

    [Theory]
    [InlineData(Large, 100)]
    [InlineData(100, Large)]
    public void When_no_more_of_one_size_may_wait_the_other_still_may(int full, int other)
    {
        for (var i = 0; i < Queued; i++)
        {
            _waiting.Add(Write(full));
        }

        Assert.Throws<StoreOverloadedException>(() => _waiting.Add(Write(full)));
        for (var i = 0; i < Queued; i++)
        {
            _waiting.Add(Write(other));
        }

        Assert.Throws<StoreOverloadedException>(() => _waiting.Add(Write(other)));
    }

    [Fact]
    public void What_is_written_is_held_until_it_is_over_and_what_was_refused_is_not()
    {
        var first = Write(600_000);
        _waiting.Add(first);
        for (var i = 0; i < 10; i++)
        {
            Assert.Throws<StoreOverloadedException>(() => _waiting.Add(Write(600_000)));
        }

        _waiting.Written(first);
        _waiting.Add(Write(600_000));
    }

    [Fact]
    public async Task Large_and_small_ones_are_written_in_turn_however_many_of_either_come()
    {
        var sizes = new List<string>();
        var group = new List<EntityWrite>();
        AddAll();
        while (sizes.Count < 20)
        {
            Assert.True(await _waiting.NextAsync(group));
            sizes.Add(string.Join(' ', group.Select(static write => write.SizeBytes > Large ? "large" : "small")));
            group.ForEach(_waiting.Written);
            group.Clear();
            AddAll();
        }

        Assert.All(sizes.Chunk(2), static turns => Assert.Equal(["large", "small small small"], turns.Order(StringComparer.Ordinal), StringComparer.Ordinal));

        void AddAll()
        {
            foreach (var size in (int[])[Large, 100])
            {
                try
                {
                    while (true)
                    {
                        _waiting.Add(Write(size));
                    }
                }
                catch (StoreOverloadedException)
                {
                    // No more of this size may wait.
                }
            }
        }
    }

    private static EntityWrite Write(int bytes) =>
        new([new EntityRowChange("acme/a", "", new EntityRow(0, "acme", null, "a", 0, false, null, "1-a", new byte[bytes]), null)]);
}
