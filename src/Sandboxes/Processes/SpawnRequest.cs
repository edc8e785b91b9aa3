using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Processes;

/// <summary>A process to start. Its output and error are pipes, and it leads a session of its own.</summary>
internal sealed record SpawnRequest
{
    /// <summary>Path of the program.</summary>
    internal required string Program { get; init; }

    /// <summary>What follows the program's name.</summary>
    internal IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>The whole environment, as <c>name=value</c>.</summary>
    internal IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary>Where it starts, or null for where we are.</summary>
    internal string? Folder { get; init; }

    /// <summary>What it reads, or null for nothing. The caller still closes it.</summary>
    internal SafeHandle? StandardInput { get; init; }

    /// <summary>What it inherits besides 0, 1 and 2, as 3, 4, ... The caller still closes them.</summary>
    internal IReadOnlyList<SafeHandle> Descriptors { get; init; } = [];

    /// <summary>User and group that it runs as, or null for ours. Only root may choose.</summary>
    internal uint? UserId { get; init; }

    /// <summary>Network namespace that it runs in, or null for ours. Only root may choose.</summary>
    internal SafeHandle? NetworkNamespace { get; init; }

    /// <summary>Called with its pid on a thread that has its user. A process's limits may be lowered by its own user; lowering another's takes a right that root does not have everywhere.</summary>
    internal Action<int>? AsItsUser { get; init; }
}
