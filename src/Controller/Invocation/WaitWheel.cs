namespace Frusta.Controller.Invocation;

/// <summary>
/// Ends the waits of blocking calls. One timer for all: a timer each would cost more than the rest of a call. A wait
/// ends at most two ticks late.
/// </summary>
/// <remarks>
/// A stripe is a ring of slots, one a tick; a wait that is longer than a round stays in its slot for further rounds. A wait goes to the stripe
/// of the processor that adds it, so calls on different processors seldom meet at a stripe's lock, which is a leaf.
/// The timer runs only while a call waits.
/// </remarks>
internal sealed class WaitWheel : IDisposable
{
    /// <summary>Milliseconds of a tick.</summary>
    public const int TickMs = 20;

    private const int Slots = 512;

    private readonly TimeProvider _clock;
    private readonly long _epoch;
    private readonly Stripe[] _stripes;
    private readonly ITimer _timer;
    private int _waiting;
    private int _running;

    public WaitWheel(TimeProvider clock)
    {
        _clock = clock;
        _epoch = clock.GetTimestamp();
        _stripes = new Stripe[Math.Min(Environment.ProcessorCount, 16)];
        for (var i = 0; i < _stripes.Length; i++)
        {
            _stripes[i] = new Stripe();
        }

        _timer = clock.CreateTimer(static wheel => ((WaitWheel)wheel!).Tick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Calls that wait now.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Ends the call's wait after so many milliseconds, unless it is over before.</summary>
    public void Add(ActivationWait wait, int milliseconds)
    {
        var now = Now();
        var stripe = _stripes[Thread.GetCurrentProcessorId() % _stripes.Length];
        wait.Stripe = stripe;

        // The thread that brings the end first ends the wait and then looks at the stripe; here it is the other way round. So one of the two sees the other.
        Interlocked.MemoryBarrier();
        lock (stripe.Gate)
        {
            if (wait.IsOver)
            {
                return;
            }

            if (stripe.Count++ == 0)
            {
                stripe.Done = now;
            }

            wait.DueTick = now + ((milliseconds + TickMs - 1) / TickMs) + 1;
            wait.HoldForWheel();
            ref var head = ref stripe.Heads[wait.DueTick % Slots];
            wait.Next = head;
            wait.Previous = null;
            head?.Previous = wait;
            head = wait;
            wait.IsLinked = true;
        }

        Interlocked.Increment(ref _waiting);
        if (Volatile.Read(ref _running) == 0 && Interlocked.CompareExchange(ref _running, 1, 0) == 0)
        {
            _timer.Change(TimeSpan.FromMilliseconds(TickMs), TimeSpan.FromMilliseconds(TickMs));
        }
    }

    /// <summary>Takes the wait out, if it is still linked.</summary>
    public void Remove(ActivationWait wait)
    {
        if (wait.Stripe is not { } stripe)
        {
            return;
        }

        lock (stripe.Gate)
        {
            if (!wait.IsLinked)
            {
                return;
            }

            stripe.Unlink(wait);
        }

        Interlocked.Decrement(ref _waiting);
        wait.ReleaseHold();
    }

    public void Dispose() => _timer.Dispose();

    private long Now() => (long)_clock.GetElapsedTime(_epoch).TotalMilliseconds / TickMs;

    private void Tick()
    {
        var now = Now();
        foreach (var stripe in _stripes)
        {
            var due = stripe.TakeDue(now);
            while (due is { } wait)
            {
                due = wait.Next;
                wait.Next = null;
                Interlocked.Decrement(ref _waiting);
                wait.TimeOut();
                wait.ReleaseHold();
            }
        }

        if (Volatile.Read(ref _waiting) == 0)
        {
            _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            Interlocked.Exchange(ref _running, 0);
            if (Volatile.Read(ref _waiting) != 0 && Interlocked.CompareExchange(ref _running, 1, 0) == 0)
            {
                _timer.Change(TimeSpan.FromMilliseconds(TickMs), TimeSpan.FromMilliseconds(TickMs));
            }
        }
    }

    internal sealed class Stripe
    {
        public Lock Gate { get; } = new();

        public ActivationWait?[] Heads { get; } = new ActivationWait?[Slots];

        public int Count { get; set; }

        /// <summary>The last tick that was looked at.</summary>
        public long Done { get; set; }

        public void Unlink(ActivationWait wait)
        {
            if (wait.Previous is { } previous)
            {
                previous.Next = wait.Next;
            }
            else
            {
                Heads[wait.DueTick % Slots] = wait.Next;
            }

            wait.Next?.Previous = wait.Previous;
            wait.Next = null;
            wait.Previous = null;
            wait.IsLinked = false;
            Count--;
        }

        /// <summary>Unlinks the waits that are due, and gives them chained by <see cref="ActivationWait.Next"/>.</summary>
        public ActivationWait? TakeDue(long now)
        {
            lock (Gate)
            {
                ActivationWait? due = null;
                if (Count > 0)
                {
                    for (var tick = Math.Max(Done + 1, now - Slots + 1); tick <= now; tick++)
                    {
                        for (var wait = Heads[tick % Slots]; wait is not null;)
                        {
                            var next = wait.Next;
                            if (wait.DueTick <= now)
                            {
                                Unlink(wait);
                                wait.Next = due;
                                due = wait;
                            }

                            wait = next;
                        }
                    }
                }

                Done = now;
                return due;
            }
        }
    }
}
