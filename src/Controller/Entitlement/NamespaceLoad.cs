namespace Frusta.Controller.Entitlement;

/// <summary>The counters of one namespace for its throttles. No lock: each number is changed in one step.</summary>
public sealed class NamespaceLoad
{
    private int _inFlight;

    public MinuteWindow Invocations { get; } = new();

    public MinuteWindow Fires { get; } = new();

    /// <summary>Calls that were admitted and whose activations have not ended.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Takes a place in flight if fewer than <paramref name="limit"/> are taken.</summary>
    /// <param name="limit">The number of places.</param>
    /// <param name="inFlight">How many were taken before.</param>
    public bool TryEnter(int limit, out int inFlight)
    {
        inFlight = InFlight;
        while (inFlight < limit)
        {
            var seen = Interlocked.CompareExchange(ref _inFlight, inFlight + 1, inFlight);
            if (seen == inFlight)
            {
                return true;
            }

            inFlight = seen;
        }

        return false;
    }

    /// <summary>Gives a place in flight back.</summary>
    public void Leave() => Interlocked.Decrement(ref _inFlight);
}

/// <summary>
/// The place of one admitted call among those that its namespace has in flight. The call gives it back however it ends, unless an activation has
/// taken it over; then the activation keeps it until its own end.
/// </summary>
public sealed class FlightPlace(NamespaceLoad load) : IDisposable
{
    private NamespaceLoad? _load = load;

    /// <summary>Hands the place over: from here on the caller has to call <see cref="NamespaceLoad.Leave"/>, and <see cref="Dispose"/> does nothing.</summary>
    /// <exception cref="ObjectDisposedException">It was given back or taken over before.</exception>
    public NamespaceLoad TakeOver()
    {
        var taken = Interlocked.Exchange(ref _load, null);
        ObjectDisposedException.ThrowIf(taken is null, this);
        return taken;
    }

    /// <summary>Gives the place back, unless it was taken over or is given back already.</summary>
    public void Dispose() => Interlocked.Exchange(ref _load, null)?.Leave();
}

/// <summary>A count that starts anew whenever the wall clock's minute has another number.</summary>
public sealed class MinuteWindow
{
    // The minute in the upper half, the count in the lower, so that both change together.
    private long _window;

    /// <summary>Counts one and returns the count of this minute, this one included.</summary>
    public int Count(int minute)
    {
        while (true)
        {
            var before = Volatile.Read(ref _window);
            var count = (int)(before >> 32) == minute ? (int)before : 0;
            var after = ((long)minute << 32) | (uint)(count == int.MaxValue ? count : count + 1);
            if (Interlocked.CompareExchange(ref _window, after, before) == before)
            {
                return (int)after;
            }
        }
    }
}
