using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes;

/// <summary>One running sandbox with its one process tree.</summary>
public interface ISandbox : IAsyncDisposable
{
    /// <summary>Short name for logs, unique in this process, such as <c>nodejs-17</c>.</summary>
    string Label { get; }

    /// <summary>Where its program is spoken to: a <see cref="SandboxChannel"/>, to which the program has written.</summary>
    SandboxEndpoint Endpoint { get; }

    /// <summary>Read end of the standard output, non-blocking.</summary>
    SafeFileHandle StandardOutput { get; }

    /// <summary>Read end of the standard error, non-blocking.</summary>
    SafeFileHandle StandardError { get; }

    /// <summary>Completes when the first process of the sandbox has ended, for whatever reason.</summary>
    Task<SandboxExit> Exited { get; }

    /// <summary>Sets the memory bound, when a stem cell is specialised for an action.</summary>
    void LimitMemory(int megabytes);

    /// <summary>Sets whether the sandbox reaches other hosts. Only ever narrowed after the start.</summary>
    void DenyNetwork();

    /// <summary>Bytes that the whole sandbox uses now; 0 when it cannot be measured.</summary>
    long MeasureMemory();

    /// <summary>Time that all its processes have used of the cores; null when it cannot be measured.</summary>
    TimeSpan? MeasureCpuTime();

    /// <summary>Whether <see cref="Pause"/> works here.</summary>
    bool CanPause { get; }

    /// <summary>
    /// From now on nothing in the sandbox runs; it keeps its memory, and can be measured and stopped. Takes longer the more tasks there are in it, some
    /// milliseconds for a thousand, as <see cref="Resume"/> does: neither is for an event loop. Safe to call twice, and does nothing in one that is stopped.
    /// </summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    void Pause();

    /// <summary>Lets it go on where it stood. Safe to call when it is not paused.</summary>
    /// <exception cref="IOException">The kernel refused: nothing runs in it any more.</exception>
    void Resume();

    /// <summary>True once the kernel, or the watchdog in its place, ended something in the sandbox for want of memory, and that was not forgotten.</summary>
    bool MemoryExhausted { get; }

    /// <summary>What was ended for want of memory until now is no reason for a later end.</summary>
    void ForgetKills();

    /// <summary>Ends every process of the sandbox and gives back what it had: cgroup, user, addresses, folder. Safe to call twice.</summary>
    ValueTask StopAsync();
}

/// <summary>How the sandbox's first process ended.</summary>
/// <param name="ExitCode">Its exit code, or 128 + signal.</param>
public sealed record SandboxExit(int ExitCode);

/// <summary>What to start.</summary>
public sealed record SandboxSpec
{
    /// <summary>First part of the label, usually the kind without what a file name may not have.</summary>
    public required string Purpose { get; init; }

    /// <summary>The program and its arguments, as paths inside the sandbox. It reads requests from descriptor 3, and writes to 4: first its hello, unasked.</summary>
    public required IReadOnlyList<string> Command { get; init; }

    /// <summary>The whole environment inside: nothing of the server's own is passed on.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>Host folders or files that are seen read-only inside.</summary>
    public IReadOnlyList<SandboxMount> Mounts { get; init; } = [];

    /// <summary>Memory bound in megabytes.</summary>
    public required int MemoryMb { get; init; }

    /// <summary>True when the interpreter is Python, whose address space can be limited where there is no cgroup; Node's cannot.</summary>
    public bool AddressSpaceMayBeLimited { get; init; }
}

/// <summary>A read-only mount.</summary>
public sealed record SandboxMount(string HostPath, string InsidePath);

/// <summary>Makes sandboxes of one kind of isolation.</summary>
public interface ISandboxMaker : IAsyncDisposable
{
    /// <summary>What this maker isolates and limits on this host, and what it could not, in words for the start screen.</summary>
    IsolationReport Report { get; }

    /// <summary>Sandboxes that can be had at a time, besides those that wait for a program: as many as there are networks and users for.</summary>
    int MostSandboxes => int.MaxValue;

    /// <summary>Says that starts with these mounts and this environment will come, whatever their memory and command, so that what can be done ahead is.</summary>
    void Expect(SandboxSpec spec);

    /// <summary>Starts a sandbox and waits until its program has said hello on the channel.</summary>
    /// <exception cref="SandboxStartException">It did not start or did not say hello in time.</exception>
    ValueTask<ISandbox> StartAsync(SandboxSpec spec, CancellationToken cancellationToken);
}

/// <summary>What the start screen says of isolation. Each text is one short sentence.</summary>
/// <param name="Isolates">What is isolated.</param>
/// <param name="Limits">What is limited, and by which mechanism.</param>
/// <param name="Missing">What could not be had, and what would cure it.</param>
public sealed record IsolationReport(IReadOnlyList<string> Isolates, IReadOnlyList<string> Limits, IReadOnlyList<string> Missing);

/// <summary>A sandbox did not come up.</summary>
public sealed class SandboxStartException(string message, Exception? inner = null) : Exception(message, inner);
