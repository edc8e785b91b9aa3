using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>Starts processes, all from one thread that lives as long as this object.</summary>
/// <remarks>
/// One thread, because a child that asked to die with its parent (<c>bwrap --die-with-parent</c>) dies with the thread that started it:
/// from a pool thread, sandboxes would die whenever the pool shrinks. This thread also changes its user and network namespace around a
/// start: in the kernel both belong to a thread, so the child inherits them and the rest of the server never has them.
/// The child inherits its scheduling too, so that a frame that wakes a runner does not take the core from the thread that sent it.
/// </remarks>
internal sealed class Spawner : IDisposable
{
    // Starts wait here while one is in the making, which takes a millisecond. The gates of the makers bound them already.
    private const int QueueLength = 1024;

    private readonly BlockingCollection<(SpawnRequest Request, TaskCompletionSource<SpawnedProcess> Started)> _queue = new(QueueLength);
    private readonly ExitWatch _exits = new();
    private readonly SafeFileHandle _nothing = OpenHigh("/dev/null");
    private readonly SafeFileHandle _ownNetwork = OpenHigh("/proc/self/ns/net");
    private readonly Thread _thread;
    private int _disposed;

    internal Spawner()
    {
        _thread = new Thread(Run, 512 * 1024) { IsBackground = true, Name = "sandbox starts" };
        _thread.Start();
    }

    /// <summary>Starts a process.</summary>
    /// <exception cref="IOException">The program is missing, the kernel refused, or too many starts wait.</exception>
    /// <exception cref="ObjectDisposedException">The spawner has ended.</exception>
    internal Task<SpawnedProcess> StartAsync(SpawnRequest request)
    {
        var started = new TaskCompletionSource<SpawnedProcess>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            if (!_queue.TryAdd((request, started)))
            {
                started.SetException(new IOException($"{QueueLength} processes are waiting to be started."));
            }
        }
        catch (InvalidOperationException)
        {
            started.SetException(new ObjectDisposedException(nameof(Spawner)));
        }

        return started.Task;
    }

    /// <summary>Waits until bytes or the end can be read from a pipe.</summary>
    internal Task AwaitReadableAsync(SafeFileHandle pipe, CancellationToken cancellationToken) => _exits.AwaitReadableAsync(pipe, cancellationToken);

    /// <summary>Ends the thread, and with it every process that asked to die with its parent.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _queue.CompleteAdding();
            _thread.Join();
            _exits.Dispose();
            _queue.Dispose();
            _nothing.Dispose();
            _ownNetwork.Dispose();
        }
    }

    private static SafeFileHandle OpenHigh(string path)
    {
        using var handle = File.OpenHandle(path);
        return Libc.DuplicateHigh((int)handle.DangerousGetHandle());
    }

    private void Run()
    {
        Libc.InterruptNobody();
        foreach (var (request, started) in _queue.GetConsumingEnumerable())
        {
            try
            {
                started.SetResult(Start(request));
            }
            catch (IOException refused)
            {
                started.SetException(refused);
            }
            catch (ObjectDisposedException gone)
            {
                started.SetException(gone);
            }
        }
    }

    private SpawnedProcess Start(SpawnRequest request)
    {
        var (output, childOutput) = OpenOutput(request.UserId);
        var (error, childError) = OpenOutput(request.UserId);
        var copies = new List<SafeFileHandle>(1 + request.Descriptors.Count);
        try
        {
            Span<int> descriptors = stackalloc int[3 + request.Descriptors.Count];
            descriptors[0] = request.StandardInput is { } input ? Copy(input) : Number(_nothing);
            descriptors[1] = Number(childOutput);
            descriptors[2] = Number(childError);
            for (var i = 0; i < request.Descriptors.Count; i++)
            {
                descriptors[3 + i] = Copy(request.Descriptors[i]);
            }

            var pid = StartAs(request, descriptors);
            if (Libc.OpenPidfd(pid) is not { } pidfd)
            {
                _ = Libc.Kill(pid, Libc.SigKill);
                throw Libc.Failure("pidfd_open");
            }

            var process = new SpawnedProcess(pid, pidfd, output, error);
            _exits.Watch(process);
            return process;
        }
        catch
        {
            output.Dispose();
            error.Dispose();
            throw;
        }
        finally
        {
            childOutput.Dispose();
            childError.Dispose();
            copies.ForEach(static copy => copy.Dispose());
        }

        int Copy(SafeHandle descriptor)
        {
            copies.Add(Libc.DuplicateHigh((int)descriptor.DangerousGetHandle()));
            return Number(copies[^1]);
        }
    }

    /// <summary>Gives this thread the child's network namespace and user, starts the child, and takes both back.</summary>
    private int StartAs(SpawnRequest request, ReadOnlySpan<int> descriptors)
    {
        string[] arguments = [request.Program, .. request.Arguments];
        var moved = false;
        var switched = false;
        try
        {
            if (request.NetworkNamespace is { } network)
            {
                moved = Libc.SetNamespace(network, Libc.NewNetworkNamespace) == 0 ? true : throw Libc.Failure("setns");
            }

            if (request.UserId is { } user)
            {
                switched = true;
                if (!Libc.TrySwitchThread(user))
                {
                    throw Libc.Failure($"Becoming user {user}");
                }
            }

            var pid = PosixSpawn.Start(request.Program, arguments, request.Environment, request.Folder, descriptors);
            try
            {
                request.AsItsUser?.Invoke(pid);
                return pid;
            }
            catch (IOException)
            {
                _ = Libc.Kill(pid, Libc.SigKill);
                _ = Libc.WaitPid(pid, out _, 0);
                throw;
            }
        }
        finally
        {
            if ((switched && !Libc.TrySwitchThreadBack()) || (moved && Libc.SetNamespace(_ownNetwork, Libc.NewNetworkNamespace) != 0))
            {
                Environment.FailFast("The thread that starts sandboxes could not take back its own user and network; the next process would have started with those of a sandbox.");
            }
        }
    }

    private static (SafeFileHandle Read, SafeFileHandle Write) OpenOutput(uint? user)
    {
        var (read, write) = Libc.OpenPipe();
        Libc.MakeNonBlocking(read);

        // A program may open /dev/stdout by name, which only the pipe's owner may.
        if (user is { } owner && Libc.ChangeOwner(write, owner, owner) != 0)
        {
            throw Libc.Failure("fchown");
        }

        using (write)
        {
            return (read, Libc.DuplicateHigh(Number(write)));
        }
    }

    private static int Number(SafeFileHandle handle) => (int)handle.DangerousGetHandle();
}
