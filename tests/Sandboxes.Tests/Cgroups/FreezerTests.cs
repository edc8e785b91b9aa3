using Frusta.Sandboxes.Cgroups;

namespace Frusta.Sandboxes.Tests.Cgroups;

/// <summary>Whoever counts the paused sandboxes counts those that Freeze said of that they stand still, until Thaw or Release says so.</summary>
public sealed class FreezerTests
{
    [Fact]
    public void A_freeze_that_the_kernel_refused_is_thawed_at_the_end_and_was_no_pause()
    {
        var freezer = new FakeFreezer { Refuses = true };
        Assert.Throws<IOException>(() => freezer.Freeze());
        freezer.Refuses = false;

        Assert.False(freezer.Release());
        Assert.Equal([true, false], freezer.Written);
    }

    [Fact]
    public void A_freeze_that_the_kernel_refused_is_thawed_for_the_next_run_and_was_no_pause()
    {
        var freezer = new FakeFreezer { Refuses = true };
        Assert.Throws<IOException>(() => freezer.Freeze());
        freezer.Refuses = false;

        Assert.False(freezer.Thaw());
        Assert.Equal([true, false], freezer.Written);
        Assert.False(freezer.Release());
    }

    [Fact]
    public void One_that_cannot_be_thawed_is_a_pause_until_its_end()
    {
        var freezer = new FakeFreezer();
        Assert.True(freezer.Freeze());
        freezer.Refuses = true;
        Assert.Throws<IOException>(() => freezer.Thaw());

        Assert.True(freezer.Release());
        Assert.False(freezer.Release());
    }

    [Fact]
    public void Each_pause_is_told_once()
    {
        var freezer = new FakeFreezer();
        Assert.True(freezer.Freeze());
        Assert.False(freezer.Freeze());
        Assert.True(freezer.Thaw());
        Assert.False(freezer.Thaw());
        Assert.True(freezer.Freeze());
        Assert.True(freezer.Release());
        Assert.False(freezer.Freeze());
    }

    private sealed class FakeFreezer : Freezer
    {
        public bool Refuses { get; set; }

        public List<bool> Written { get; } = [];

        protected override bool KeepsTheKilled => true;

        internal override void Attach(int pid)
        {
        }

        internal override bool TryRemove() => true;

        protected override void Set(bool frozen)
        {
            Written.Add(frozen);
            if (Refuses)
            {
                throw new IOException("refused");
            }
        }
    }
}
