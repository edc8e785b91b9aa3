using System.Collections.Concurrent;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;

namespace Frusta.Controller.Entitlement;

/// <summary>Whether a call is admitted, or which throttle refuses it (429).</summary>
public enum AdmitOutcome : byte
{
    Admitted,
    TooManyInMinute,
    TooManyInFlight,
}

/// <summary>The verdict, with the numbers that its text names.</summary>
public readonly record struct Admission(AdmitOutcome Outcome, int Count, int Limit)
{
    public bool IsAdmitted => Outcome == AdmitOutcome.Admitted;

    /// <summary>The text for a client that is refused.</summary>
    public string Text => Outcome == AdmitOutcome.TooManyInMinute
        ? $"Too many requests in the last minute (count: {Count}, allowed: {Limit})."
        : $"Too many concurrent requests in flight (count: {Count}, allowed: {Limit}).";
}

/// <summary>
/// The throttles: how many invocations and fires a namespace starts in a wall-clock minute, and how many activations
/// it has in flight. Counted in memory by the uuid of the caller's namespace, each namespace on its own. A call is counted in the same step that
/// admits it, before its body is read: so calls that come while a body arrives cannot pass the limit.
/// </summary>
/// <remarks>There are at most as many counters as namespaces with a key; a counter takes some 100 bytes.</remarks>
public sealed class Admit(LimitsOptions limits, TimeProvider clock)
{
    private readonly ConcurrentDictionary<string, NamespaceLoad> _loads = new(StringComparer.Ordinal);

    /// <summary>Counts an invocation, whether it is admitted or not, and says whether it may go on. An admitted call has its place in flight from here on.</summary>
    /// <param name="caller">The caller.</param>
    /// <param name="place">The place of an admitted call, to be disposed on every way out; else null.</param>
    public Admission Invocation(Identity caller, out FlightPlace? place)
    {
        place = null;
        var load = LoadOf(caller);
        var perMinute = caller.Limits.InvocationsPerMinute ?? limits.InvocationsPerMinute;
        var count = load.Invocations.Count(Minute());
        if (count > perMinute)
        {
            return new Admission(AdmitOutcome.TooManyInMinute, count, perMinute);
        }

        var concurrent = ConcurrentLimit(caller);
        if (!load.TryEnter(concurrent, out var inFlight))
        {
            return new Admission(AdmitOutcome.TooManyInFlight, inFlight, concurrent);
        }

        place = new FlightPlace(load);
        return new Admission(AdmitOutcome.Admitted, count, perMinute);
    }

    /// <summary>Counts the fire of a trigger, whether it is admitted or not, and says whether it may go on.</summary>
    public Admission Fire(Identity caller)
    {
        var perMinute = caller.Limits.FiresPerMinute ?? limits.FiresPerMinute;
        var count = LoadOf(caller).Fires.Count(Minute());
        return new Admission(count > perMinute ? AdmitOutcome.TooManyInMinute : AdmitOutcome.Admitted, count, perMinute);
    }

    /// <summary>
    /// The refusal when the bus has too many activations of the namespace waiting. Its text gives the number in flight as the limit, even if the namespace's
    /// own limit is higher.
    /// </summary>
    public Admission NamespaceFull(Identity caller)
    {
        var inFlight = LoadOf(caller).InFlight;
        return new Admission(AdmitOutcome.TooManyInFlight, inFlight, Math.Min(inFlight, ConcurrentLimit(caller)));
    }

    /// <summary>The counters of the caller's namespace.</summary>
    public NamespaceLoad LoadOf(Identity caller) => _loads.GetOrAdd(caller.NamespaceUuid, static _ => new NamespaceLoad());

    private int ConcurrentLimit(Identity caller) => caller.Limits.ConcurrentInvocations ?? limits.ConcurrentInvocations;

    private int Minute() => (int)(clock.GetUtcNow().ToUnixTimeSeconds() / 60);
}
