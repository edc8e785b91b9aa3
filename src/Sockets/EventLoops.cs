using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sockets;

/// <summary>What a loop tells that something happened.</summary>
internal interface IWatched
{
    /// <param name="what">A set of <see cref="Epoll.Readable"/> and the like.</param>
    void Happened(uint what);
}

/// <summary>The threads that wait for clients and sandboxes. What became possible is done on the spot, so that a warm call changes threads nowhere in this process.</summary>
/// <remarks>
/// Code between a descriptor and its next wait must not block, nor take as long as a client or a sandbox likes: on these threads it holds up
/// everybody. docs/decisions/0010-channel-of-two-pipes.md lists what is done here for a sandbox, and the bound of each.
/// </remarks>
public sealed class EventLoops : IDisposable
{
    private readonly Loop[] _loops;
    private uint _next;

    /// <param name="threads">How many; one that finds several sockets ready sleeps less often than two that find one each.</param>
    public EventLoops(int threads)
    {
        _loops = [.. Enumerable.Range(0, threads).Select(static number => new Loop(number))];
    }

    /// <summary>Ends the threads. Sockets that are still watched are told nothing more.</summary>
    public void Dispose()
    {
        foreach (var loop in _loops)
        {
            loop.Dispose();
        }
    }

    /// <summary>The loop of a new socket: each in turn.</summary>
    internal Loop Next() => _loops[Interlocked.Increment(ref _next) % (uint)_loops.Length];

    /// <summary>One thread and what it watches.</summary>
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

        /// <summary>How often the kernel had no more reports than it gave.</summary>
        public long Drains => Volatile.Read(ref _drains);

        /// <summary>The number under which a descriptor is watched. It is never given twice, so that an event of something that is gone meets nobody.</summary>
        public long NumberOf(IWatched watched)
        {
            var number = Interlocked.Increment(ref _number);
            _watched[number] = watched;
            return number;
        }

        /// <summary>Watches from now on; several descriptors may have one number.</summary>
        /// <exception cref="IOException">The host has no room for that.</exception>
        public void Watch(long number, SafeHandle handle, uint events)
        {
            if (!Epoll.Watch(_epoll, handle, number, events))
            {
                Forget(number);
                throw new IOException("A descriptor cannot be watched: the host has no more room for that.");
            }
        }

        /// <summary>Watches for one arrival on each of the descriptors; again, when they have their number already. False when they cannot be watched.</summary>
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
