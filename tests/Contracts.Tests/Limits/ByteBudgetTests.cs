using Frusta.Contracts.Limits;

namespace Frusta.Contracts.Tests.Limits;

public sealed class ByteBudgetTests
{
    private const long Mebibyte = 1 << 20;

    private readonly ByteBudget _budget = new(new ByteBudgetOptions { MaxBytes = 100 * Mebibyte, MaxSmallBytes = 4 * Mebibyte });

    [Fact]
    public void One_namespace_holds_a_quarter_and_all_together_no_more_than_there_is()
    {
        using var first = _budget.Of("a").Begin();
        Assert.True(first.TryHold(25 * Mebibyte));
        Assert.False(first.TryHold((25 * Mebibyte) + 1));
        Assert.Equal(25 * Mebibyte, first.Bytes);
        using var second = _budget.Of("a").Begin();
        Assert.False(second.TryHold(Mebibyte));

        ByteLease[] others = [.. new[] { "b", "c", "d" }.Select(name => _budget.Of(name).Begin())];
        Assert.All(others, lease => Assert.True(lease.TryHold(25 * Mebibyte)));
        using var late = _budget.Of("e").Begin();
        Assert.False(late.TryHold(Mebibyte));
        others[0].Dispose();
        Assert.True(late.TryHold(Mebibyte));
        Assert.All(others, lease => lease.Dispose());
    }

    [Fact]
    public void Callers_without_a_key_hold_a_tenth_together()
    {
        using var one = _budget.WithoutKey.Begin();
        using var other = _budget.WithoutKey.Begin();
        Assert.True(one.TryHold(6 * Mebibyte));
        Assert.False(other.TryHold(5 * Mebibyte));
        Assert.True(other.TryHold(4 * Mebibyte));
    }

    [Fact]
    public void What_is_large_never_keeps_out_what_is_small_whoever_sends_it()
    {
        ByteLease[] large = [.. new[] { "a", "b", "c", "d" }.Select(name => _budget.Of(name).Begin())];
        Assert.All(large, lease => Assert.True(lease.TryHold(25 * Mebibyte)));
        using var small = _budget.Of("a").Begin();
        Assert.True(small.TryHold(ByteBudget.SmallBytes));
        Assert.False(small.TryHold(ByteBudget.SmallBytes + 1));
        Assert.Equal(ByteBudget.SmallBytes, small.Bytes);
        Assert.All(large, lease => lease.Dispose());
    }

    [Fact]
    public void What_is_small_is_bounded_too_and_may_use_the_other_room()
    {
        var leases = new List<ByteLease>();
        while (true)
        {
            var lease = _budget.Of("a").Begin();
            leases.Add(lease);
            if (!lease.TryHold(ByteBudget.SmallBytes))
            {
                break;
            }
        }

        Assert.Equal(26 * Mebibyte, _budget.HeldBytes); // a quarter of each room
        leases.ForEach(lease => lease.Dispose());
        Assert.Equal(0, _budget.HeldBytes);
    }

    [Fact]
    public void What_comes_in_pieces_moves_to_the_other_room_when_the_small_one_is_full()
    {
        using var pieces = _budget.Of("a").Begin();
        Assert.True(pieces.TryHold(4096));
        var others = new List<ByteLease>();
        while (_budget.HeldBytes < Mebibyte)
        {
            var lease = _budget.Of("a").Begin();
            others.Add(lease);
            Assert.True(lease.TryHold(Math.Min(ByteBudget.SmallBytes, Mebibyte - _budget.HeldBytes)));
        }

        Assert.True(pieces.TryHold(20 * 1024));
        Assert.Equal(20 * 1024, pieces.Bytes);
        Assert.Equal(Mebibyte + (16 * 1024), _budget.HeldBytes);

        // Now in the large room, it grows there, and what it left in the small one is free.
        Assert.True(pieces.TryHold(60 * 1024));
        using var late = _budget.Of("a").Begin();
        Assert.True(late.TryHold(4096));
        others.ForEach(lease => lease.Dispose());
        pieces.Dispose();
        Assert.Equal(4096, _budget.HeldBytes);
    }

    [Fact]
    public void A_lease_that_outgrows_the_small_room_gives_it_back()
    {
        using var lease = _budget.Of("a").Begin();
        for (var bytes = 1024L; bytes <= 20 * Mebibyte; bytes *= 2)
        {
            Assert.True(lease.TryHold(bytes));
            Assert.Equal(bytes, _budget.HeldBytes);
        }

        using var small = _budget.Of("a").Begin();
        for (var i = 1; i <= 16; i++)
        {
            Assert.True(small.TryHold(i * 4096L));
        }

        Assert.True(lease.TryHold(0));
        Assert.Equal(ByteBudget.SmallBytes, _budget.HeldBytes);
    }

    [Fact]
    public void What_was_given_back_is_given_back_once_and_cannot_grow_again()
    {
        using var other = _budget.Of("a").Begin();
        Assert.True(other.TryHold(Mebibyte));
        var lease = _budget.Of("a").Begin();
        Assert.True(lease.TryHold(3 * Mebibyte));
        lease.Dispose();
        lease.Dispose();
        Assert.Equal(Mebibyte, _budget.HeldBytes);
        Assert.Throws<ObjectDisposedException>(() => lease.TryHold(1));
    }

    /// <summary>Threads that take, grow, shrink and give back at random, while one looks: never more than the bounds, and nothing is left.</summary>
    [Fact]
    public async Task Many_threads_at_once_never_hold_more_than_the_bounds_and_give_all_back()
    {
        string?[] holders = ["a", "b", "c", "d", "e", null];
        using var done = new CancellationTokenSource();
        var watching = Task.Factory.StartNew(
            () =>
            {
                var most = 0L;
                while (!done.IsCancellationRequested)
                {
                    most = Math.Max(most, _budget.HeldBytes);
                    Assert.All(holders, name => Assert.InRange(ShareOf(name).HeldBytes, 0, (name is null ? 104 : 260) * Mebibyte / 10));
                }

                return most;
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var refused = 0; // a rough count will do
        var threads = Enumerable.Range(0, 8).Select(seed => new Thread(() =>
        {
            var random = new Random(seed);
            for (var round = 0; round < 4000; round++)
            {
                using var lease = ShareOf(holders[random.Next(holders.Length)]).Begin();
                for (var step = random.Next(6); step > 0; step--)
                {
                    var before = lease.Bytes;
                    var wanted = random.Next(3) == 0 ? random.NextInt64(2 * ByteBudget.SmallBytes) : random.NextInt64(16 * Mebibyte);
                    var held = lease.TryHold(wanted);
                    refused += held ? 0 : 1;
                    Assert.Equal(held ? wanted : before, lease.Bytes);
                    Assert.True(held || wanted > before);
                }
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        await done.CancelAsync();
        Assert.InRange(await watching, 1, 104 * Mebibyte);
        Assert.NotEqual(0, refused);
        Assert.Equal(0, _budget.HeldBytes);
        Assert.All(holders, name => Assert.Equal(0, ShareOf(name).HeldBytes));
    }

    [Theory]
    [InlineData(0, 1L << 20, null)]
    [InlineData(64L << 20, 1L << 20, null)]
    [InlineData(1, 1L << 20, "Controller:Bodies:MaxBytes must be 0 or from 67108864 to 1099511627776, but it is 1.")]
    [InlineData(-1, 1L << 20, "Controller:Bodies:MaxBytes must be 0 or from 67108864 to 1099511627776, but it is -1.")]
    [InlineData(0, 0, "Controller:Bodies:MaxSmallBytes must be from 1048576 to 1099511627776, but it is 0.")]
    public void Bounds_are_checked_by_name(long most, long small, string? broken)
    {
        var options = new ByteBudgetOptions { MaxBytes = most, MaxSmallBytes = small };
        Assert.Equal(broken, options.Validate("Controller:Bodies"));
        Assert.True(options.EffectiveMaxBytes != 0);
    }

    private ByteShare ShareOf(string? name) => name is null ? _budget.WithoutKey : _budget.Of(name);
}
