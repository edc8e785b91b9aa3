namespace Frusta.Sandboxes.Processes;

/// <summary>Sockets of a network namespace by UDP with a datagram that its sender has begun (SPLICE_F_MORE) and not sent.</summary>
/// <remarks>
/// Such a datagram is charged to nobody. It has at most 64 kB, in at most 17 pieces; each piece may pin a block of 32 kB that the process
/// has filled with what is sent since, so that their number counts and not their bytes.
/// </remarks>
internal static class UnsentDatagrams
{
    private const int QueuesColumn = 4;

    /// <summary>
    /// How many there are in the namespace of a process, and sockets that no table lists: one by UDP that is disconnected leaves the table with what it holds.
    /// A connection that was reset before it was accepted is in no table either, and is none of them.
    /// </summary>
    /// <param name="pid">The process.</param>
    /// <param name="matters">The number that matters: 0 is the answer when all sockets together are not more, or when the process is gone.</param>
    internal static int Count(int pid, int matters)
    {
        try
        {
            var used = SocketTables.Used(pid);
            if (used <= matters)
            {
                return 0;
            }

            var unlisted = Unlisted(pid, used, matters);
            return unlisted > matters ? unlisted : unlisted + Count($"/proc/{pid}/net/udp", matters) + Count($"/proc/{pid}/net/udp6", matters);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static int Unlisted(int pid, int used, int matters)
    {
        var unlisted = Math.Max(0, used - SocketTables.Listed(pid));
        return unlisted > matters ? Math.Max(0, unlisted - AcceptQueues.CountReset(pid)) : unlisted;
    }

    /// <summary>
    /// What waits to be sent stands before the colon, what was received behind it. Once there are more than matter, no further line is read:
    /// the kernel begins anew for each page of the table, and the sandbox goes on meanwhile.
    /// </summary>
    private static int Count(string table, int matters)
    {
        var sum = 0;
        foreach (var line in File.Exists(table) ? File.ReadLines(table).Skip(1) : [])
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length > QueuesColumn && !words[QueuesColumn].StartsWith("00000000:", StringComparison.Ordinal) && ++sum > matters)
            {
                break;
            }
        }

        return sum;
    }
}
