using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>One thread that waits for the end of every process that we started, through their pidfds, and reaps them.</summary>
internal sealed unsafe class ExitWatch : IDisposable
{
    private const int Add = 1;
    private const uint Readable = 1;
    private const uint OneShot = 1u << 30;
    private const int BatchSize = 32;
    private const int NoHang = 1;
    private const int WakeKey = -1;

    // epoll_event is packed on x86-64 only.
    private static readonly int EventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int DataOffset = EventSize - sizeof(long);

    private readonly SafeFileHandle _epoll = new(Libc.EpollCreate(Libc.CloseOnExec), ownsHandle: true);
    private readonly SafeFileHandle _wake = new(Libc.EventDescriptor(0, Libc.CloseOnExec | Libc.NonBlocking), ownsHandle: true);
    private readonly ConcurrentDictionary<long, SpawnedProcess> _watched = new();
    private readonly Thread _thread;
    private int _disposed;

    internal ExitWatch()
    {
        if (_epoll.IsInvalid || _wake.IsInvalid)
        {
            throw Libc.Failure("epoll_create1 or eventfd");
        }

        Register((int)_wake.DangerousGetHandle(), WakeKey, Readable);
        _thread = new Thread(Run, 256 * 1024) { IsBackground = true, Name = "sandbox exits" };
        _thread.Start();
    }

    /// <summary>From now on the end of the process completes its <see cref="SpawnedProcess.Exited"/>.</summary>
    internal void Watch(SpawnedProcess process)
    {
        _watched[process.Pid] = process;
        Register(process.PidfdNumber, process.Pid, Readable | OneShot);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            RandomAccess.Write(_wake, [1, 0, 0, 0, 0, 0, 0, 0], fileOffset: 0);
            _thread.Join();
            _epoll.Dispose();
            _wake.Dispose();
        }
    }

    private void Register(int descriptor, long key, uint events)
    {
        var watched = stackalloc byte[16];
        *(uint*)watched = events;
        *(long*)(watched + DataOffset) = key;
        if (Libc.EpollControl(_epoll, Add, descriptor, watched) != 0)
        {
            throw Libc.Failure("epoll_ctl");
        }
    }

    private void Run()
    {
        var events = stackalloc byte[BatchSize * 16];
        while (Volatile.Read(ref _disposed) == 0)
        {
            var count = Libc.EpollWait(_epoll, events, BatchSize, timeoutMs: -1);
            for (var i = 0; i < count; i++)
            {
                var key = *(long*)(events + (i * EventSize) + DataOffset);
                if (key != WakeKey && _watched.TryRemove(key, out var process))
                {
                    process.CompleteExit(Reap(process.Pid));
                }
            }
        }
    }

    private static int Reap(int pid)
    {
        if (Libc.WaitPid(pid, out var status, NoHang) != pid)
        {
            // Somebody else in this process reaped it (a host that ignores SIGCHLD): the end is certain, its code is lost.
            return 255;
        }

        var signal = status & 0x7f;
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal;
    }
}
