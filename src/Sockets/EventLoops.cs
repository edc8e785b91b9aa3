using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sockets;

/// <summary>An owner of watched descriptors, which a loop tells of each report.</summary>
internal interface IWatched
{
    /// <param name="what">A set of <see cref="Epoll.Readable"/> and the like.</param>
    void Happened(uint what);
}

/// <summary>
/// The threads that wait for clients and sandboxes. They handle each report themselves, so that a warm call changes threads nowhere in this process.
/// </summary>
/// <remarks>
/// Code that handles a report must not block, nor may a client or a sandbox decide how long it takes: on these threads it holds up all
/// others. docs/decisions/0010-channel-of-two-pipes.md lists the work that is done here for a sandbox, and the bound of each piece.
/// </remarks>
public sealed class EventLoops : IDisposable
{
    private readonly Loop[] _loops;
    private uint _next;

    /// <param name="threads">How many threads. Few are better: a thread that finds several sockets ready sleeps less often than two that find one each.</param>
    public EventLoops(int threads)
    {
        _loops = [.. Enumerable.Range(0, threads).Select(static number => new Loop(number))];
    }

    /// <summary>Ends the threads. Descriptors that are still watched get no report any more.</summary>
    public void Dispose()
    {
        foreach (var loop in _loops)
        {
            loop.Dispose();
        }
    }

    /// <summary>The loop of a new socket: each in turn.</summary>
    internal Loop Next() => _loops[Interlocked.Increment(ref _next) % (uint)_loops.Length];

    /// <summary>One thread and the descriptors that it watches.</summary>
    internal sealed class Loop : IDisposable
    {
        private const int EventsAtOnce = 256;
        private const long WakeNumber = 0;

        private readonly SafeFileHandle _epoll = Epoll.Create();
        private readonly SafeFileHandle _wake = Epoll.CreateEvent();
        private readonly ConcurrentDictionary<long, IWatched> _watched = new();
        private readonly Thread _thread;
        private long _number;
        private long _drains;
        private bool _stopped;

        public Loop(int number)
        {
            Epoll.Watch(_epoll, _wake, WakeNumber, Epoll.Readable);
            _thread = new Thread(Run) { IsBackground = true, Name = $"sockets {number}" };
            _thread.Start();
        }

        public void Dispose()
        {
            Volatile.Write(ref _stopped, true);
            Epoll.Signal(_wake);
            if (Thread.CurrentThread != _thread)
            {
                _thread.Join();
            }

            _epoll.Dispose();
            _wake.Dispose();
        }

        /// <summary>True on the thread of this loop.</summary>
        public bool IsCurrent => Environment.CurrentManagedThreadId == _thread.ManagedThreadId;

        /// <summary>How many waits so far took every report that the kernel had queued.</summary>
        public long Drains => Volatile.Read(ref _drains);

        /// <summary>A number to watch descriptors under. No number is given twice, so that a late event of a closed descriptor reaches no other owner.</summary>
        public long NumberOf(IWatched watched)
        {
            var number = Interlocked.Increment(ref _number);
            _watched[number] = watched;
            return number;
        }

        /// <summary>Watches a descriptor from now on; several descriptors may have one number.</summary>
        /// <exception cref="IOException">The host has no room for another watch.</exception>
        public void Watch(long number, SafeHandle handle, uint events)
        {
            if (!Epoll.Watch(_epoll, handle, number, events))
            {
                Forget(number);
                throw new IOException("A descriptor cannot be watched: the host has no more room for that.");
            }
        }

        /// <summary>Has the next arrival on each of the descriptors reported, once. False when one of them cannot be watched.</summary>
        /// <param name="watch">Gets the reports.</param>
        /// <param name="number">0 at the first call, which sets it; later calls change the watches that it stands for.</param>
        /// <param name="descriptors">The same at each call.</param>
        public bool TryWatchOnce(QuietWatch watch, ref long number, SafeHandle[] descriptors)
        {
            const uint Once = Epoll.Readable | Epoll.OneShot;
            var isNew = number == 0;
            number = isNew ? NumberOf(watch) : number;
            var watched = true;
            foreach (var descriptor in descriptors)
            {
                watched &= isNew ? Epoll.Watch(_epoll, descriptor, number, Once) : Epoll.Change(_epoll, descriptor, number, Once);
            }

            return watched;
        }

        public bool TryChange(long number, SafeHandle handle, uint events) => Epoll.Change(_epoll, handle, number, events);

        public void Forget(long number) => _watched.TryRemove(number, out _);

        private void Run()
        {
            Span<EpollEvent> events = stackalloc EpollEvent[EventsAtOnce];
            while (!Volatile.Read(ref _stopped))
            {
                var count = Epoll.Wait(_epoll, events, -1);
                if (count is > 0 and < EventsAtOnce)
                {
                    Volatile.Write(ref _drains, _drains + 1);
                }

                foreach (var happened in events[..count])
                {
                    if (_watched.TryGetValue(happened.Data, out var watched))
                    {
                        watched.Happened(happened.What);
                    }
                }
            }
        }
    }
}
