using System.Globalization;

namespace Frusta.Sandboxes.Processes;

/// <summary>Counts the sockets of a network namespace.</summary>
internal static class SocketTables
{
    private const int SocketsColumn = 2;

    /// <summary>Number of all sockets in the namespace of a process, from the first line: <c>sockets: used 12</c>.</summary>
    internal static int Used(int pid) =>
        File.ReadLines($"/proc/{pid}/net/sockstat").FirstOrDefault()?.Split(' ') is [.., var used] && int.TryParse(used, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>True when the namespace of a process has TCP sockets that listen or are connected.</summary>
    internal static bool HasConnections(int pid) =>
        File.ReadLines($"/proc/{pid}/net/protocols").Any(static line =>
            line.StartsWith("TCP", StringComparison.Ordinal) && line.Split(' ', SocketsColumn + 2, StringSplitOptions.RemoveEmptyEntries) is { Length: > SocketsColumn } words && words[SocketsColumn] is not "0");
}
