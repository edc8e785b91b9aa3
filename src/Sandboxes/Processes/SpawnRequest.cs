using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Processes;

/// <summary>A process to start. Its output and error are pipes, and it leads a session of its own.</summary>
internal sealed record SpawnRequest
{
    /// <summary>Path of the program.</summary>
    internal required string Program { get; init; }

    /// <summary>Arguments behind the program's name.</summary>
    internal IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>The whole environment, as <c>name=value</c>.</summary>
    internal IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary>Folder in which it starts, or null for the server's.</summary>
    internal string? Folder { get; init; }

    /// <summary>Its standard input, or null for an empty one. The caller still closes it.</summary>
    internal SafeHandle? StandardInput { get; init; }

    /// <summary>Descriptors that it inherits as 3, 4, ... The caller still closes them.</summary>
    internal IReadOnlyList<SafeHandle> Descriptors { get; init; } = [];

    /// <summary>User and group that it runs as, or null for the server's. Only root may choose.</summary>
    internal uint? UserId { get; init; }

    /// <summary>Network namespace that it runs in, or null for the server's. Only root may choose.</summary>
    internal SafeHandle? NetworkNamespace { get; init; }

    /// <summary>
    /// Called with its pid on a thread that has its user: a user may lower the limits of its own processes, but lowering another user's takes a right that
    /// root does not have everywhere.
    /// </summary>
    internal Action<int>? AsItsUser { get; init; }
}
