using System.Text;
using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>A sandbox whose program has not said hello yet. A vacant one has none so far: a shell waits on its standard input for what to become.</summary>
internal sealed class LaunchedSandbox : IDisposable
{
    /// <summary>What waits in a vacant one. It ends by itself when our end of its input is closed, so also when the server was killed.</summary>
    internal const string Shell = "/bin/sh";

    private readonly SafeFileHandle? _input;
    private readonly int _memoryMb;

    /// <param name="holdings">What it has from the host.</param>
    /// <param name="process">The bubblewrap around it.</param>
    /// <param name="channel">Our ends of its channel.</param>
    /// <param name="input">Write end of the shell's standard input; null when it was given its program.</param>
    /// <param name="memoryMb">Memory bound that it was built with.</param>
    internal LaunchedSandbox(SandboxHoldings holdings, SpawnedProcess process, SandboxChannel channel, SafeFileHandle? input, int memoryMb)
    {
        (Holdings, Process, Channel, _input, _memoryMb) = (holdings, process, channel, input, memoryMb);
    }

    internal SandboxHoldings Holdings { get; }

    internal SpawnedProcess Process { get; }

    internal SandboxChannel Channel { get; }

    /// <summary>False when something ended it while it waited.</summary>
    internal bool IsUp => !Process.Exited.IsCompleted;

    /// <summary>Bounds a vacant one's memory for the program and has the shell become it. Its standard input is empty.</summary>
    internal void Become(SandboxSpec spec)
    {
        if (_memoryMb != spec.MemoryMb)
        {
            Holdings.Cgroup!.LimitMemory(spec.MemoryMb);
        }

        var line = new StringBuilder("exec");
        foreach (var word in spec.Command)
        {
            line.Append(" '").Append(word.Replace("'", "'\\''", StringComparison.Ordinal)).Append('\'');
        }

        OutputPipe.Write(_input!, Encoding.UTF8.GetBytes(line.Append(" </dev/null\n").ToString()));
    }

    /// <summary>Closes what is needed only until the program has said hello; the process, its channel and what it holds are another's to end.</summary>
    public void Dispose() => _input?.Dispose();
}
