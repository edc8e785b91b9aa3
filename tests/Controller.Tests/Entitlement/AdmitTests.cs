using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Controller.Entitlement;
using Microsoft.Extensions.Time.Testing;

namespace Frusta.Controller.Tests.Entitlement;

public sealed class AdmitTests
{
    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 1, 1, 12, 0, 30, TimeSpan.Zero));
    private readonly LimitsOptions _limits = new() { InvocationsPerMinute = 2, FiresPerMinute = 1, ConcurrentInvocations = 1 };

    [Fact]
    public void A_window_is_a_minute_of_the_wall_clock_and_refused_calls_count_too()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a");

        Assert.True(admit.Invocation(caller).IsAdmitted);
        Assert.True(admit.Invocation(caller).IsAdmitted);
        Assert.Equal("Too many requests in the last minute (count: 3, allowed: 2).", admit.Invocation(caller).Text);
        Assert.Equal("Too many requests in the last minute (count: 4, allowed: 2).", admit.Invocation(caller).Text);
        Assert.True(admit.Invocation(Caller("b")).IsAdmitted);

        _clock.Advance(TimeSpan.FromSeconds(29));
        Assert.False(admit.Invocation(caller).IsAdmitted);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(new Admission(AdmitOutcome.Admitted, 1, 2), admit.Invocation(caller));
    }

    [Fact]
    public void Fires_and_invocations_are_counted_apart()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a");

        Assert.True(admit.Fire(caller).IsAdmitted);
        Assert.Equal(new Admission(AdmitOutcome.TooManyInMinute, 2, 1), admit.Fire(caller));
        Assert.True(admit.Invocation(caller).IsAdmitted);
    }

    [Fact]
    public void Activations_in_flight_are_checked_after_the_rate()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a");
        admit.LoadOf(caller).ActivationSent();

        Assert.Equal("Too many concurrent requests in flight (count: 1, allowed: 1).", admit.Invocation(caller).Text);
        admit.LoadOf(caller).ActivationEnded();
        Assert.True(admit.Invocation(caller).IsAdmitted);
        admit.LoadOf(caller).ActivationSent();
        Assert.Equal(AdmitOutcome.TooManyInMinute, admit.Invocation(caller).Outcome);
    }

    [Fact]
    public void A_namespace_with_as_much_waiting_as_there_is_room_for_is_not_told_that_it_may_have_more()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a", new NamespaceLimits { ConcurrentInvocations = 100 });
        admit.LoadOf(caller).ActivationSent();
        admit.LoadOf(caller).ActivationSent();

        Assert.Equal("Too many concurrent requests in flight (count: 2, allowed: 2).", admit.NamespaceFull(caller).Text);
    }

    [Fact]
    public void A_namespace_has_limits_of_its_own_and_zero_refuses_all()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a", new NamespaceLimits { InvocationsPerMinute = 0, FiresPerMinute = 5 });

        Assert.Equal("Too many requests in the last minute (count: 1, allowed: 0).", admit.Invocation(caller).Text);
        Assert.Equal(new Admission(AdmitOutcome.Admitted, 1, 5), admit.Fire(caller));
    }

    [Fact]
    public async Task No_call_of_many_at_once_is_lost_from_the_count()
    {
        var admit = new Admit(new LimitsOptions { InvocationsPerMinute = 50_000 }, _clock);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(
            () =>
            {
                for (var i = 0; i < 10_000; i++)
                {
                    admit.Invocation(Caller("a"));
                }
            },
            TestContext.Current.CancellationToken)));

        Assert.Equal(40_001, admit.Invocation(Caller("a")).Count);
    }

    private static Contracts.Entities.Identity Caller(string uuid, NamespaceLimits? limits = null) => new("subject", "name", uuid, $"{uuid}:key", limits ?? NamespaceLimits.None);
}
