using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes;

/// <summary>One running sandbox with its one process tree.</summary>
public interface ISandbox : IAsyncDisposable
{
    /// <summary>Short name for logs, unique in this process, such as <c>nodejs-17</c>.</summary>
    string Label { get; }

    /// <summary>The way to its program: a <see cref="SandboxChannel"/>, to which the program has written its hello.</summary>
    SandboxEndpoint Endpoint { get; }

    /// <summary>Read end of the standard output, non-blocking.</summary>
    SafeFileHandle StandardOutput { get; }

    /// <summary>Read end of the standard error, non-blocking.</summary>
    SafeFileHandle StandardError { get; }

    /// <summary>Completes when the first process of the sandbox has ended, for whatever reason.</summary>
    Task<SandboxExit> Exited { get; }

    /// <summary>Sets the memory bound in megabytes, when a stem cell gets an action. A sandbox that uses more already is ended.</summary>
    void LimitMemory(int megabytes);

    /// <summary>Takes the network from the sandbox for good: from now on it reaches no other host. Does nothing in a plain process.</summary>
    void DenyNetwork();

    /// <summary>Bytes that the whole sandbox uses now; 0 when it cannot be measured.</summary>
    long MeasureMemory();

    /// <summary>Processor time that all its processes have used; null when it cannot be measured.</summary>
    TimeSpan? MeasureCpuTime();

    /// <summary>True when <see cref="Pause"/> works for this sandbox.</summary>
    bool CanPause { get; }

    /// <summary>
    /// Freezes all processes of the sandbox; it keeps its memory, and can be measured and stopped. This and <see cref="Resume"/> take longer the more
    /// tasks the sandbox has, some milliseconds for a thousand, so neither is for an event loop. Safe to call twice; does nothing in a stopped sandbox.
    /// </summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    void Pause();

    /// <summary>Lets the processes of a paused sandbox go on. Safe to call when it is not paused.</summary>
    /// <exception cref="IOException">The kernel refused: the sandbox stays frozen, and is of no more use.</exception>
    void Resume();

    /// <summary>
    /// True once the kernel, or a watch of this server, killed a process of the sandbox for want of memory, unless <see cref="ForgetKills"/> was called
    /// since.
    /// </summary>
    bool MemoryExhausted { get; }

    /// <summary>
    /// Leaves the kernel's kills until now out of <see cref="MemoryExhausted"/>. To be called after a run that the sandbox outlived: the kernel may have
    /// killed a child process in it, and a later end of the sandbox is not to be blamed on that.
    /// </summary>
    void ForgetKills();

    /// <summary>Ends every process of the sandbox and gives back its cgroup, user, addresses and folder. Safe to call twice.</summary>
    ValueTask StopAsync();
}

/// <summary>How the sandbox's first process ended.</summary>
/// <param name="ExitCode">Its exit code, or 128 + signal.</param>
public sealed record SandboxExit(int ExitCode);

/// <summary>A sandbox to be started.</summary>
public sealed record SandboxSpec
{
    /// <summary>First part of the label, usually the kind, without characters that a file name may not have.</summary>
    public required string Purpose { get; init; }

    /// <summary>
    /// The program and its arguments, as paths inside the sandbox. It reads requests from descriptor 3 and writes answers to 4, before any request its
    /// hello.
    /// </summary>
    public required IReadOnlyList<string> Command { get; init; }

    /// <summary>The whole environment inside: no variable of the server's own is passed on.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>Host folders or files that are seen read-only inside.</summary>
    public IReadOnlyList<SandboxMount> Mounts { get; init; } = [];

    /// <summary>Memory bound in megabytes.</summary>
    public required int MemoryMb { get; init; }

    /// <summary>True when the interpreter's address space can be limited where there is no cgroup: Python's can, Node's cannot.</summary>
    public bool AddressSpaceMayBeLimited { get; init; }
}

/// <summary>A read-only mount.</summary>
public sealed record SandboxMount(string HostPath, string InsidePath);

/// <summary>Makes sandboxes of one kind of isolation.</summary>
public interface ISandboxMaker : IAsyncDisposable
{
    /// <summary>What this maker isolates, limits, and lacks on this host, for the start screen.</summary>
    IsolationReport Report { get; }

    /// <summary>Sandboxes that can have a program at a time: as many as there are networks and users for, without vacant sandboxes.</summary>
    int MostSandboxes => int.MaxValue;

    /// <summary>
    /// Announces starts with these mounts and this environment, of any memory and command, so that the maker can build vacant sandboxes for them.
    /// </summary>
    void Expect(SandboxSpec spec);

    /// <summary>Starts a sandbox and waits until its program has said hello on the channel.</summary>
    /// <exception cref="SandboxStartException">The sandbox did not start, or its program did not say hello in time; the message says why.</exception>
    ValueTask<ISandbox> StartAsync(SandboxSpec spec, CancellationToken cancellationToken);
}

/// <summary>The start screen's texts on isolation: one short sentence or phrase each.</summary>
/// <param name="Isolates">Things that are isolated.</param>
/// <param name="Limits">Things that are limited, and by which mechanism.</param>
/// <param name="Missing">Isolation and limits that this host lacks, and how to get them.</param>
public sealed record IsolationReport(IReadOnlyList<string> Isolates, IReadOnlyList<string> Limits, IReadOnlyList<string> Missing);

/// <summary>A sandbox did not start; the message says why.</summary>
public sealed class SandboxStartException(string message, Exception? inner = null) : Exception(message, inner);
