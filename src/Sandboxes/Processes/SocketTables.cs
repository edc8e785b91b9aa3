using System.Globalization;

namespace Frusta.Sandboxes.Processes;

/// <summary>How many sockets a network namespace has, and how many of them are listed somewhere.</summary>
internal static class SocketTables
{
    private const int SocketsColumn = 2;

    /// <summary>All of them. The first line says <c>sockets: used 12</c>.</summary>
    internal static int Used(int pid) =>
        File.ReadLines($"/proc/{pid}/net/sockstat").FirstOrDefault()?.Split(' ') is [.., var used] && int.TryParse(used, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>Those that a table of their protocol lists: all of unix, of TCP those that listen or are connected, of UDP those with a port.</summary>
    internal static int Listed(int pid)
    {
        // UDP       1344      7      90   NI ...
        var sum = 0;
        foreach (var line in File.ReadLines($"/proc/{pid}/net/protocols").Skip(1))
        {
            sum += line.Split(' ', SocketsColumn + 2, StringSplitOptions.RemoveEmptyEntries) is { Length: > SocketsColumn } words
                && int.TryParse(words[SocketsColumn], NumberStyles.None, CultureInfo.InvariantCulture, out var sockets) ? sockets : 0;
        }

        return sum;
    }
}
