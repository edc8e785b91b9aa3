using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>A process that the server started. <see cref="ExitWatch"/> reaps it.</summary>
internal sealed class SpawnedProcess : IDisposable
{
    private readonly TaskCompletionSource<int> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SafeFileHandle _pidfd;

    internal SpawnedProcess(int pid, SafeFileHandle pidfd, SafeFileHandle standardOutput, SafeFileHandle standardError)
    {
        Pid = pid;
        _pidfd = pidfd;
        StandardOutput = standardOutput;
        StandardError = standardError;
    }

    internal int Pid { get; }

    /// <summary>Read end, non-blocking.</summary>
    internal SafeFileHandle StandardOutput { get; }

    /// <summary>Read end, non-blocking.</summary>
    internal SafeFileHandle StandardError { get; }

    /// <summary>Its exit code, or 128 + signal, once it has been reaped.</summary>
    internal Task<int> Exited => _exited.Task;

    /// <summary>Readable once the process has ended.</summary>
    internal SafeFileHandle Pidfd => _pidfd;

    /// <summary>Sends a signal to this process, never to a later one with its number; false when it is gone.</summary>
    internal bool Signal(int signal) => Libc.SendSignal(_pidfd, signal);

    internal void CompleteExit(int code)
    {
        _pidfd.Dispose();
        _exited.TrySetResult(code);
    }

    /// <summary>Closes the server's ends of its pipes. It does not end the process.</summary>
    public void Dispose()
    {
        StandardOutput.Dispose();
        StandardError.Dispose();
    }
}
