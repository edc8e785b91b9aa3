using System.Diagnostics;
using Frusta.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Runtimes.Output;

/// <summary>The one thread that reads the output of all activations while they run, so that a full pipe holds none of them up.</summary>
/// <remarks>
/// A run of a millisecond has nothing to do with the thread: an activation that begins only writes down a number. While activations run, the thread
/// looks at these numbers each tick. Where an activation has run through a whole tick, it puts the sandbox's pipes under the kernel's watch
/// (epoll, edge-triggered), once in a sandbox's life. It sleeps when no activation has run for a while.
/// </remarks>
public sealed class OutputPump : IDisposable
{
    private const int EventsAtOnce = 64;
    private const int IdleTicksBeforeSleep = 50;
    private const long WakeNumber = 0;

    private readonly Lock _gate = new();
    private readonly Dictionary<long, OutputCollector> _collectors = [];
    private readonly int _tickMs;
    private readonly int _idleTicksBeforeSleep;
    private readonly SafeFileHandle _epoll;
    private readonly SafeFileHandle _wake;

    // Collectors that may have more to read. The kernel reports a pipe again only after it was read until empty.
    private readonly HashSet<OutputCollector> _again = [];
    private OutputCollector[]? _snapshot;
    private Thread? _thread;
    private long _tick = 1;
    private long _number;
    private int _asleep;
    private bool _stopped;

    /// <param name="tickMs">Milliseconds between two looks at the activations that run.</param>
    public OutputPump(int tickMs)
        : this(tickMs, IdleTicksBeforeSleep)
    {
    }

    internal OutputPump(int tickMs, int idleTicksBeforeSleep)
    {
        _tickMs = tickMs;
        _idleTicksBeforeSleep = idleTicksBeforeSleep;
        _epoll = Epoll.Create();
        _wake = Epoll.CreateEvent();
        Epoll.Watch(_epoll, _wake, WakeNumber, Epoll.Readable);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
        }

        Epoll.Signal(_wake);
        _thread?.Join();
        _epoll.Dispose();
        _wake.Dispose();
    }

    /// <summary>Gives the collector the number under which the kernel reports its pipes. The first call starts the thread.</summary>
    internal long Add(OutputCollector collector)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopped, this);
            _collectors.Add(++_number, collector);
            _snapshot = null;
            if (_thread is null)
            {
                _thread = new Thread(Run) { IsBackground = true, Name = "output pump" };
                _thread.Start();
            }

            return _number;
        }
    }

    internal void Remove(long number)
    {
        lock (_gate)
        {
            _collectors.Remove(number);
            _snapshot = null;
        }
    }

    /// <summary>Ticks since the start; at least 1.</summary>
    internal long Tick => Volatile.Read(ref _tick);

    /// <summary>Writes down the tick at which an activation begins, and wakes the thread if it sleeps.</summary>
    internal void Begin(ref long beganAt)
    {
        // This writes the number, then looks whether the thread sleeps. The thread says that it sleeps, then looks at the numbers. So one always sees the other.
        Interlocked.Exchange(ref beganAt, Tick);
        if (Volatile.Read(ref _asleep) == 1 && Interlocked.Exchange(ref _asleep, 0) == 1)
        {
            Epoll.Signal(_wake);
        }
    }

    private void Run()
    {
        Span<EpollEvent> events = stackalloc EpollEvent[EventsAtOnce];
        var idleTicks = 0;
        var tickBegan = Stopwatch.GetTimestamp();
        while (!Volatile.Read(ref _stopped))
        {
            var leftMs = (int)Math.Ceiling(Math.Max(0, _tickMs - Stopwatch.GetElapsedTime(tickBegan).TotalMilliseconds));
            var timeout = _again.Count > 0 ? 0 : leftMs;
            if (idleTicks >= _idleTicksBeforeSleep)
            {
                // An activation that begins after this last look at the numbers sees that the thread sleeps, and signals.
                Interlocked.Exchange(ref _asleep, 1);
                timeout = AnyInFlight() ? leftMs : -1;
            }

            var count = Epoll.Wait(_epoll, events, timeout);
            Volatile.Write(ref _asleep, 0);

            // Each collector is read once a round, so that endless output of one does not hold up the others.
            _again.RemoveWhere(static collector => !collector.ReadAlong());
            foreach (var happened in events[..count])
            {
                ReadAlong(happened.Data);
            }

            // Ticks go by the clock, not by rounds: there are thousands of rounds a second while an action writes without end.
            if (Stopwatch.GetElapsedTime(tickBegan).TotalMilliseconds >= _tickMs)
            {
                tickBegan = Stopwatch.GetTimestamp();
                Volatile.Write(ref _tick, _tick + 1);
                idleTicks = WatchLongRunning() ? 0 : idleTicks + 1;
            }
        }
    }

    private void ReadAlong(long number)
    {
        if (number == WakeNumber)
        {
            Epoll.Clear(_wake);
            return;
        }

        OutputCollector? collector;
        lock (_gate)
        {
            _collectors.TryGetValue(number, out collector);
        }

        if (collector is not null)
        {
            ReadAlong(collector);
        }
    }

    private void ReadAlong(OutputCollector collector)
    {
        if (collector.ReadAlong())
        {
            _again.Add(collector);
        }
    }

    private bool AnyInFlight()
    {
        foreach (var collector in Snapshot())
        {
            if (Volatile.Read(ref collector.BeganAt) != 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Begins to read the output of each activation that has run through a tick; true when any activation runs.</summary>
    private bool WatchLongRunning()
    {
        var any = false;
        foreach (var collector in Snapshot())
        {
            var beganAt = Volatile.Read(ref collector.BeganAt);
            any |= beganAt != 0;
            if (beganAt != 0 && beganAt + 1 < _tick && collector.SeenAt != beganAt)
            {
                // Output from before the watch, or from before this run, makes no event: so it is read here.
                collector.SeenAt = beganAt;
                collector.Watch(_epoll);
                ReadAlong(collector);
            }
        }

        return any;
    }

    private OutputCollector[] Snapshot()
    {
        lock (_gate)
        {
            return _snapshot ??= [.. _collectors.Values];
        }
    }
}
