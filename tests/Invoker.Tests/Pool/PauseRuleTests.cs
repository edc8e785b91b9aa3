using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Tests.Pool;

/// <summary>What counts as a use of the cores by a sandbox that nobody called.</summary>
public sealed class PauseRuleTests
{
    private const long Second = 1_000_000;

    private readonly PauseRule _rule = new(new RoomRules { CapacityBytes = 1L << 30 });
    private readonly Slot _slot = new(1, "nodejs", 256L << 20) { State = SlotState.Idle, Initialised = true };

    [Fact]
    public void What_a_run_between_two_looks_has_used_is_not_what_it_uses_while_idle()
    {
        Assert.False(Look(idleSince: 0, at: Second, usedUs: 10_000));
        Assert.False(Look(idleSince: 3 * Second / 2, at: 2 * Second, usedUs: 500_000));
        Assert.False(Look(idleSince: 3 * Second / 2, at: 3 * Second, usedUs: 540_000));
        Assert.True(Look(idleSince: 3 * Second / 2, at: 4 * Second, usedUs: 600_000));
    }

    [Fact]
    public void A_look_that_was_asked_for_before_a_run_says_nothing()
    {
        Assert.False(Look(idleSince: 0, at: Second, usedUs: 10_000));
        Ask(idleSince: 0, at: 2 * Second);
        _slot.SinceUs = 5 * Second / 2;
        Assert.False(_rule.Burns(_slot, 900_000, 3 * Second));
    }

    [Fact]
    public void What_cannot_be_measured_does_not_burn()
    {
        Assert.False(Look(idleSince: 0, at: Second, usedUs: 10_000));
        Assert.False(Look(idleSince: 0, at: 2 * Second, usedUs: null));
        Assert.True(Look(idleSince: 0, at: 3 * Second, usedUs: 300_000));
    }

    private bool Look(long idleSince, long at, long? usedUs)
    {
        Ask(idleSince, at);
        return _rule.Burns(_slot, usedUs, at);
    }

    private void Ask(long idleSince, long at)
    {
        _slot.SinceUs = idleSince;
        var actions = new List<PoolAction>();
        _rule.BeginSweep();
        _rule.Sweep(_slot, at, actions);
        Assert.Equal(PoolActionKind.Look, Assert.Single(actions).Kind);
    }
}
