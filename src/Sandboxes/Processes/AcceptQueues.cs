using System.Globalization;

namespace Frusta.Sandboxes.Processes;

/// <summary>
/// Counts connections of a network namespace that no process has accepted yet. They belong to no process, so that no sandbox is charged for them.
/// </summary>
internal static class AcceptQueues
{
    private const string Listens = "0A";
    private const int StateColumn = 3;
    private const int QueuesColumn = 4;

    // A listener takes a line of 150 bytes, and has at least one socket.
    private const int MostListeners = 65_536;

    /// <summary>
    /// Number of these connections in the namespace of a process; 0 when the process is gone, or the namespace has at most <paramref name="matters"/>
    /// sockets in all.
    /// </summary>
    internal static int Count(int pid, int matters)
    {
        try
        {
            return SocketTables.Used(pid) > matters ? Count($"/proc/{pid}/net/tcp") + Count($"/proc/{pid}/net/tcp6") : 0;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    /// <summary>
    /// Sums the queues of the listeners, which are the first lines of a table. A listener has the length of its queue, connections that were reset
    /// meanwhile included, where other sockets have received bytes.
    /// </summary>
    private static int Count(string table)
    {
        var sum = 0;
        foreach (var line in File.Exists(table) ? File.ReadLines(table).Skip(1).Take(MostListeners) : [])
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length <= QueuesColumn || words[StateColumn] is not Listens)
            {
                break;
            }

            sum += int.Parse(words[QueuesColumn].AsSpan(words[QueuesColumn].IndexOf(':', StringComparison.Ordinal) + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        }

        return sum;
    }
}
