using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sockets;

/// <summary>The threads that wait for sockets. What became possible is done on the spot, so that a warm call changes threads nowhere in this process.</summary>
/// <remarks>Code between a socket and its next wait must not block: on these threads it holds up everybody.</remarks>
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
        private readonly ConcurrentDictionary<long, ReadySocket> _watched = new();
        private readonly Thread _thread;
        private long _number;
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

        /// <summary>Watches from now on. A number is never given twice, so that an event of a socket that is gone meets nobody.</summary>
        public long Watch(ReadySocket socket, SafeHandle handle, uint events)
        {
            var number = Interlocked.Increment(ref _number);
            _watched[number] = socket;
            if (Epoll.Watch(_epoll, handle, number, events))
            {
                return number;
            }

            _watched.TryRemove(number, out _);
            throw new IOException("A socket cannot be watched: the host has no more room for that.");
        }

        public void Change(long number, SafeHandle handle, uint events) => Epoll.Change(_epoll, handle, number, events);

        public void Forget(long number) => _watched.TryRemove(number, out _);

        private void Run()
        {
            Span<EpollEvent> events = stackalloc EpollEvent[EventsAtOnce];
            while (!Volatile.Read(ref _stopped))
            {
                var count = Epoll.Wait(_epoll, events, -1);
                foreach (var happened in events[..count])
                {
                    if (_watched.TryGetValue(happened.Data, out var socket))
                    {
                        socket.Happened(happened.What);
                    }
                }
            }
        }
    }
}
