using System.Globalization;

namespace Frusta.Sandboxes.Processes;

/// <summary>Connections of a network namespace that are made and that no process has accepted. They belong to no process, so that they are charged to none.</summary>
internal static class AcceptQueues
{
    private const string Listens = "0A";
    private const int StateColumn = 3;
    private const int QueuesColumn = 4;

    // A listener takes a line of 150 bytes, and has at least one socket.
    private const int MostListeners = 65_536;

    /// <summary>How many there are in the namespace of a process; 0 when it is gone, or when all its sockets together are not more than the number that matters.</summary>
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

    /// <summary>Listeners come first, each with the length of its queue where others have the bytes that they received, also of connections that were reset meanwhile.</summary>
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
