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

        Assert.True(IsAdmitted(admit, caller));
        Assert.True(IsAdmitted(admit, caller));
        Assert.Equal("Too many requests in the last minute (count: 3, allowed: 2).", admit.Invocation(caller, out _).Text);
        Assert.Equal("Too many requests in the last minute (count: 4, allowed: 2).", admit.Invocation(caller, out _).Text);
        Assert.True(admit.Invocation(Caller("b"), out _).IsAdmitted);

        _clock.Advance(TimeSpan.FromSeconds(29));
        Assert.False(admit.Invocation(caller, out _).IsAdmitted);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(new Admission(AdmitOutcome.Admitted, 1, 2), admit.Invocation(caller, out _));
    }

    [Fact]
    public void Fires_and_invocations_are_counted_apart()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a");

        Assert.True(admit.Fire(caller).IsAdmitted);
        Assert.Equal(new Admission(AdmitOutcome.TooManyInMinute, 2, 1), admit.Fire(caller));
        Assert.True(admit.Invocation(caller, out _).IsAdmitted);
    }

    [Fact]
    public void Activations_in_flight_are_checked_after_the_rate()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a");

        Assert.True(admit.Invocation(caller, out var place).IsAdmitted);
        Assert.Equal("Too many concurrent requests in flight (count: 1, allowed: 1).", admit.Invocation(caller, out var refused).Text);
        Assert.Null(refused);
        Assert.Equal(AdmitOutcome.TooManyInMinute, admit.Invocation(caller, out _).Outcome);
        place!.Dispose();
        Assert.Equal(0, admit.LoadOf(caller).InFlight);
    }

    [Fact]
    public void A_place_is_given_back_once_and_what_was_taken_over_is_left_to_who_has_it()
    {
        var admit = new Admit(new LimitsOptions(), _clock);
        var caller = Caller("a");
        admit.Invocation(caller, out var first);
        admit.Invocation(caller, out var second);
        Assert.Equal(2, admit.LoadOf(caller).InFlight);

        first!.Dispose();
        first.Dispose();
        Assert.Equal(1, admit.LoadOf(caller).InFlight);
        Assert.Throws<ObjectDisposedException>(first.TakeOver);

        var load = second!.TakeOver();
        second.Dispose();
        Assert.Equal(1, admit.LoadOf(caller).InFlight);
        load.Leave();
        Assert.Equal(0, admit.LoadOf(caller).InFlight);
    }

    [Fact]
    public async Task Of_many_at_once_no_more_are_admitted_than_may_be_in_flight()
    {
        var admit = new Admit(new LimitsOptions { InvocationsPerMinute = int.MaxValue, ConcurrentInvocations = 5 }, _clock);
        var most = 0;
        var inFlight = 0;

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(
            () =>
            {
                for (var i = 0; i < 20_000; i++)
                {
                    if (admit.Invocation(Caller("a"), out var place).IsAdmitted)
                    {
                        using (place)
                        {
                            var now = Interlocked.Increment(ref inFlight);
                            most = Math.Max(most, now);
                            Interlocked.Decrement(ref inFlight);
                        }
                    }
                }
            },
            TestContext.Current.CancellationToken)));

        Assert.InRange(most, 1, 5);
        Assert.Equal(0, admit.LoadOf(Caller("a")).InFlight);
    }

    [Fact]
    public void A_namespace_with_as_much_waiting_as_there_is_room_for_is_not_told_that_it_may_have_more()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a", new NamespaceLimits { ConcurrentInvocations = 100 });
        admit.Invocation(caller, out _);
        admit.Invocation(caller, out _);

        Assert.Equal("Too many concurrent requests in flight (count: 2, allowed: 2).", admit.NamespaceFull(caller).Text);
    }

    [Fact]
    public void A_namespace_has_limits_of_its_own_and_zero_refuses_all()
    {
        var admit = new Admit(_limits, _clock);
        var caller = Caller("a", new NamespaceLimits { InvocationsPerMinute = 0, FiresPerMinute = 5 });

        Assert.Equal("Too many requests in the last minute (count: 1, allowed: 0).", admit.Invocation(caller, out _).Text);
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
                    admit.Invocation(Caller("a"), out var place);
                    place?.Dispose();
                }
            },
            TestContext.Current.CancellationToken)));

        Assert.Equal(40_001, admit.Invocation(Caller("a"), out _).Count);
    }

    private static bool IsAdmitted(Admit admit, Identity caller)
    {
        var admission = admit.Invocation(caller, out var place);
        place?.Dispose();
        return admission.IsAdmitted;
    }

    private static Identity Caller(string uuid, NamespaceLimits? limits = null) => new("subject", "name", uuid, $"{uuid}:key", limits ?? NamespaceLimits.None);
}
