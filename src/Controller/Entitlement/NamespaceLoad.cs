namespace Frusta.Controller.Entitlement;

/// <summary>What one namespace is doing. No lock: each number is changed in one step.</summary>
public sealed class NamespaceLoad
{
    private int _inFlight;

    public MinuteWindow Invocations { get; } = new();

    public MinuteWindow Fires { get; } = new();

    /// <summary>Activations that were sent and have not ended.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    public void ActivationSent() => Interlocked.Increment(ref _inFlight);

    public void ActivationEnded() => Interlocked.Decrement(ref _inFlight);
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
