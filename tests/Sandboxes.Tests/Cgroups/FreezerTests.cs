using Frusta.Sandboxes.Cgroups;

namespace Frusta.Sandboxes.Tests.Cgroups;

public sealed class FreezerTests
{
    [Fact]
    public void What_stood_still_is_said_to_go_on_once_and_to_end_once()
    {
        var freezer = new FailingFreezer();
        Assert.True(freezer.Freeze());
        Assert.False(freezer.Freeze());
        Assert.True(freezer.Thaw());
        Assert.False(freezer.Thaw());
        Assert.True(freezer.Freeze());
        Assert.True(freezer.Release());
        Assert.False(freezer.Release());
        Assert.False(freezer.Freeze());
        Assert.Equal([true, false, true, false], freezer.Written);
    }

    /// <summary>Nobody counted that it stands still; the kernel may have stopped a part of it all the same.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_could_not_be_frozen_is_thawed_and_not_said_to_have_stood_still(bool toItsEnd)
    {
        var freezer = new FailingFreezer { Fails = true };
        Assert.Throws<IOException>(() => freezer.Freeze());
        freezer.Fails = false;
        Assert.False(toItsEnd ? freezer.Release() : freezer.Thaw());
        Assert.Equal([true, false], freezer.Written);
    }

    [Fact]
    public void What_could_not_be_thawed_still_stands_still()
    {
        var freezer = new FailingFreezer();
        Assert.True(freezer.Freeze());
        freezer.Fails = true;
        Assert.Throws<IOException>(() => freezer.Thaw());
        freezer.Fails = false;
        Assert.True(freezer.Release());
    }

    private sealed class FailingFreezer : Freezer
    {
        public bool Fails { get; set; }

        public List<bool> Written { get; } = [];

        protected override bool KeepsTheKilled => true;

        internal override void Attach(int pid)
        {
        }

        internal override bool TryRemove() => true;

        protected override void Set(bool frozen)
        {
            Written.Add(frozen);
            if (Fails)
            {
                throw new IOException("The kernel refused.");
            }
        }
    }
}
