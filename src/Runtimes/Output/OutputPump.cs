using System.Diagnostics;
using Frusta.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Runtimes.Output;

/// <summary>The one thread that reads along with all running activations, so that none is held up by a full pipe.</summary>
/// <remarks>
/// A run of a millisecond never meets it: beginning an activation writes one number. The thread looks at the numbers each tick while anything
/// runs, and puts the pipes of those that have run through a whole tick under the kernel's watch (epoll, edge-triggered),
/// once in a sandbox's life. It sleeps when nothing has run for a while.
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

    // Those that were read from and may have more. The kernel reports no pipe again that was never empty since.
    private readonly HashSet<OutputCollector> _again = [];
    private OutputCollector[]? _snapshot;
    private Thread? _thread;
    private long _tick = 1;
    private long _number;
    private int _asleep;
    private bool _stopped;

    /// <param name="tickMs">Milliseconds between two looks at what runs.</param>
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

    /// <summary>Gives the collector the number under which the kernel reports its pipes. The first one starts the thread.</summary>
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

    /// <summary>An activation begins: its tick is noted, and the thread woken if it sleeps.</summary>
    internal void Begin(ref long beganAt)
    {
        // Noted first, then looked; the thread does it the other way round. So one of the two always sees the other.
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
                // Asleep is said first and the numbers are looked at again: whoever notes one after that look signals.
                Interlocked.Exchange(ref _asleep, 1);
                timeout = AnyInFlight() ? leftMs : -1;
            }

            var count = Epoll.Wait(_epoll, events, timeout);
            Volatile.Write(ref _asleep, 0);

            // Each once, so that one that never ends waits for all others between two looks.
            _again.RemoveWhere(static collector => !collector.ReadAlong());
            foreach (var happened in events[..count])
            {
                ReadAlong(happened.Data);
            }

            // By the clock, not by the rounds, of which there are thousands a second while an action writes without end.
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

    /// <summary>Looks at every collector; true when anything is in flight.</summary>
    private bool WatchLongRunning()
    {
        var any = false;
        foreach (var collector in Snapshot())
        {
            var beganAt = Volatile.Read(ref collector.BeganAt);
            any |= beganAt != 0;
            if (beganAt != 0 && beganAt + 1 < _tick && collector.SeenAt != beganAt)
            {
                // The first look at a run that lasts: what came before the watch, or before this run, makes no event.
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
