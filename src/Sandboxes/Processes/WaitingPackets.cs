using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>Counts the packets of TCP and UDP that wait in a network namespace, to be read or to be acknowledged by the peer.</summary>
/// <remarks>
/// The number follows from the memory that the packets need beside their data. No table in /proc has that figure. The kernel tells it by netlink
/// (<c>sock_diag</c>) to a socket inside the namespace, in a quarter of a millisecond where the host's table of connections has 262,144 places.
/// </remarks>
internal static class WaitingPackets
{
    private const int NetlinkFamily = 16;
    private const int NetlinkOfSockets = 4;
    private const int Raw = 3 | Libc.CloseOnExec;

    // The old request asks for IPv4 and IPv6 at once. The new one asks for one of them, and the kernel goes through its whole table each time.
    private const ushort AllOfTcp = 18;
    private const ushort ByFamily = 20;
    private const ushort Request = 1;
    private const ushort Dump = 0x300;
    private const ushort Done = 3;
    private const ushort ErrorAnswer = 2;
    private const byte Udp = 17;
    private const byte InterNetwork = 2;
    private const byte InterNetwork6 = 10;
    private const byte AskForMemory = 1 << (SocketSums.MemoryAttribute - 1);
    private const uint AllStates = uint.MaxValue;

    private const int HeaderSize = 16;

    private static readonly SafeFileHandle Home = File.OpenHandle("/proc/self/ns/net");

    // Sockets that are counted at most. Their memory exceeds an action's limit in any case.
    private const int MostSockets = 65_536;
    private const int BufferSize = 64 * 1024;

    // Greatest number of bytes that wait in a connection before a process has accepted it (tcp_rmem of a sandbox's network). No sandbox is charged for them.
    private const long MostUnaccepted = 32 * 1024;

    /// <summary>
    /// Counts the packets in the namespace of a process. The calling thread moves into that namespace and back; the namespace lives while a thread is in
    /// it.
    /// </summary>
    /// <param name="pid">The process, which may be gone.</param>
    /// <param name="own">The address in that namespace from which packets leave; 0 when none leave.</param>
    /// <param name="charged">
    /// Bytes in sockets that are charged to the sandbox. Bytes that the listed sockets do not have are in sockets that no table lists, such as a connection
    /// that both sides have closed before all was read.
    /// </param>
    /// <returns>The number of all packets, and the number of small ones: all without as many as the bytes would need in full packets. Null where the kernel gives no answer.</returns>
    internal static (long All, long Small)? Count(int pid, uint own, long charged)
    {
        try
        {
            if (charged == 0 && !SocketTables.HasConnections(pid))
            {
                return (0, 0);
            }

            using var network = File.OpenHandle($"/proc/{pid}/ns/net");
            if (Libc.SetNamespace(network, Libc.NewNetworkNamespace) != 0)
            {
                return null;
            }

            try
            {
                return CountHere(own, charged);
            }
            finally
            {
                _ = Libc.SetNamespace(Home, Libc.NewNetworkNamespace);
            }
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The same for the namespace of the calling thread.</summary>
    internal static (long All, long Small)? CountHere(uint own, long charged)
    {
        using var kernel = new SafeFileHandle(Libc.OpenSocket(NetlinkFamily, Raw, NetlinkOfSockets), ownsHandle: true);
        var sums = new SocketSums(own);
        var buffer = new byte[BufferSize];
        if (kernel.IsInvalid || !Ask(kernel, AllOfTcp, 0, 0, sums, buffer))
        {
            return null;
        }

        // Where the kernel does not tell of UDP, waiting datagrams count as packets of sockets that are not listed.
        _ = Ask(kernel, ByFamily, InterNetwork, Udp, sums, buffer) && Ask(kernel, ByFamily, InterNetwork6, Udp, sums, buffer);
        var elsewhere = Math.Max(0, charged - sums.Charged) + (Math.Max(0, sums.Unlisted) * MostUnaccepted);
        return ((sums.All + elsewhere) / SocketSums.LeastPacket, (sums.Small + elsewhere) / SocketSums.LeastPacket);
    }

    private static bool Ask(SafeFileHandle kernel, ushort kind, byte family, byte protocol, SocketSums sums, byte[] buffer)
    {
        // The header, then the request. The new one has family, protocol and the wanted attributes, the old one the attributes alone; then states and an id.
        Span<byte> question = stackalloc byte[HeaderSize + 60];
        question.Clear();
        MemoryMarshal.Write(question, question.Length);
        MemoryMarshal.Write(question[4..], kind);
        MemoryMarshal.Write(question[6..], (ushort)(Request | Dump));
        var body = question[HeaderSize..];
        (body[0], body[1], body[kind is AllOfTcp ? 3 : 2]) = (family, protocol, AskForMemory);
        MemoryMarshal.Write(body[(kind is AllOfTcp ? 52 : 4)..], AllStates);
        if (!Send(kernel, question))
        {
            return false;
        }

        while (Receive(kernel, buffer) is var length && length > 0)
        {
            for (var messages = buffer.AsSpan(0, length); messages.Length >= HeaderSize;)
            {
                var size = MemoryMarshal.Read<int>(messages);
                var what = MemoryMarshal.Read<ushort>(messages[4..]);
                if (what is Done or ErrorAnswer || size < HeaderSize || size > messages.Length)
                {
                    return what is Done;
                }

                if (++sums.Sockets <= MostSockets)
                {
                    sums.Add(protocol is Udp, messages[HeaderSize..size]);
                }

                messages = messages[Math.Min(SocketSums.Aligned(size), messages.Length)..];
            }
        }

        return false;
    }

    private static unsafe bool Send(SafeFileHandle kernel, ReadOnlySpan<byte> question)
    {
        fixed (byte* first = question)
        {
            return Libc.Write(kernel, first, (nuint)question.Length) == question.Length;
        }
    }

    private static unsafe int Receive(SafeFileHandle kernel, byte[] buffer)
    {
        fixed (byte* first = buffer)
        {
            return (int)Libc.Read(kernel, first, (nuint)buffer.Length);
        }
    }
}
