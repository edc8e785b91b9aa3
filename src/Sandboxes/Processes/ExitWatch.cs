using System.Collections.Concurrent;
using Frusta.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>One thread that waits for the hello and for the end of every process that the server started, and reaps it.</summary>
internal sealed class ExitWatch : IDisposable
{
    private const int BatchSize = 32;
    private const int NoHang = 1;
    private const int WakeKey = -1; // processes are watched under their numbers, pipes under those below this

    private readonly SafeFileHandle _epoll = Epoll.Create();
    private readonly SafeFileHandle _wake = Epoll.CreateEvent();
    private readonly ConcurrentDictionary<long, SpawnedProcess> _watched = new();
    private readonly ConcurrentDictionary<long, TaskCompletionSource> _pipes = new();
    private readonly Thread _thread;
    private long _lastPipe = WakeKey;
    private int _disposed;

    internal ExitWatch()
    {
        Register(_wake, WakeKey, Epoll.Readable);
        _thread = new Thread(Run, 256 * 1024) { IsBackground = true, Name = "sandbox exits" };
        _thread.Start();
    }

    /// <summary>Watches a process, so that its end completes its <see cref="SpawnedProcess.Exited"/>.</summary>
    internal void Watch(SpawnedProcess process)
    {
        _watched[process.Pid] = process;
        Register(process.Pidfd, process.Pid, Epoll.Readable | Epoll.OneShot);
    }

    /// <summary>Waits until bytes or the end can be read from a pipe.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled first.</exception>
    internal async Task AwaitReadableAsync(SafeFileHandle pipe, CancellationToken cancellationToken)
    {
        var key = Interlocked.Decrement(ref _lastPipe);
        var readable = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _pipes[key] = readable;
        try
        {
            Register(pipe, key, Epoll.Readable | Epoll.OneShot);
            await readable.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            _pipes.TryRemove(key, out _);
            Forget(pipe);
        }
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Epoll.Signal(_wake);
            _thread.Join();
            _epoll.Dispose();
            _wake.Dispose();
        }
    }

    private void Register(SafeFileHandle descriptor, long key, uint events)
    {
        if (!Epoll.Watch(_epoll, descriptor, key, events))
        {
            throw Libc.Failure("epoll_ctl");
        }
    }

    /// <summary>Ends the watch over a pipe, which would otherwise cost the kernel time at each write to it.</summary>
    private void Forget(SafeFileHandle pipe)
    {
        try
        {
            Epoll.Forget(_epoll, pipe);
        }
        catch (ObjectDisposedException)
        {
            // The caller has given up waiting, and closed the pipe.
        }
    }

    private void Run()
    {
        Span<EpollEvent> events = stackalloc EpollEvent[BatchSize];
        while (Volatile.Read(ref _disposed) == 0)
        {
            var count = Epoll.Wait(_epoll, events, milliseconds: -1);
            foreach (var (_, key) in events[..count])
            {
                if (key != WakeKey && _watched.TryRemove(key, out var process))
                {
                    process.CompleteExit(Reap(process.Pid));
                }
                else if (_pipes.TryGetValue(key, out var readable))
                {
                    readable.TrySetResult();
                }
            }
        }
    }

    private static int Reap(int pid)
    {
        if (Libc.WaitPid(pid, out var status, NoHang) != pid)
        {
            // The process was reaped elsewhere in this server, or by the kernel (a host that ignores SIGCHLD): it has ended, but its exit code is lost.
            return 255;
        }

        var signal = status & 0x7f;
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal;
    }
}
