using System.Text;
using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>A sandbox whose program has not said hello yet. In a vacant sandbox a shell waits for the command line of the program that it is to become.</summary>
internal sealed class LaunchedSandbox : IDisposable
{
    /// <summary>The program that waits in a vacant sandbox. It ends when the server's end of its input is closed, so also when the server is killed.</summary>
    internal const string Shell = "/bin/sh";

    private readonly SafeFileHandle? _input;
    private readonly int _memoryMb;

    /// <param name="holdings">The sandbox's cgroup, user and network.</param>
    /// <param name="process">The bubblewrap around the sandbox.</param>
    /// <param name="channel">The server's ends of the sandbox's channel.</param>
    /// <param name="input">Write end of the shell's standard input; null when the sandbox was built with its program.</param>
    /// <param name="memoryMb">Memory bound in megabytes that the sandbox was built with.</param>
    internal LaunchedSandbox(SandboxHoldings holdings, SpawnedProcess process, SandboxChannel channel, SafeFileHandle? input, int memoryMb)
    {
        (Holdings, Process, Channel, _input, _memoryMb) = (holdings, process, channel, input, memoryMb);
    }

    internal SandboxHoldings Holdings { get; }

    internal SpawnedProcess Process { get; }

    internal SandboxChannel Channel { get; }

    /// <summary>False when the sandbox has ended, for example because the shell was killed while it waited.</summary>
    internal bool IsUp => !Process.Exited.IsCompleted;

    /// <summary>Sets a vacant sandbox's memory bound, and has its shell become the program, whose standard input is empty.</summary>
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

    /// <summary>Closes the shell's input, which is needed only until the program has said hello. The caller ends process, channel and holdings.</summary>
    public void Dispose() => _input?.Dispose();
}
