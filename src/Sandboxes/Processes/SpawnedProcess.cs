using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>A process that we started. It is reaped by <see cref="ExitWatch"/>, whoever else waits.</summary>
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

    /// <summary>Signals this very process, never one that got its number later; false when it is gone.</summary>
    internal bool Signal(int signal) => Libc.SendSignal(_pidfd, signal);

    internal void CompleteExit(int code)
    {
        _pidfd.Dispose();
        _exited.TrySetResult(code);
    }

    /// <summary>Closes our ends of its pipes. It does not end the process.</summary>
    public void Dispose()
    {
        StandardOutput.Dispose();
        StandardError.Dispose();
    }
}
