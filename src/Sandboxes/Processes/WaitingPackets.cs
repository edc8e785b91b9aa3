using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>How many packets by TCP wait in a network namespace, to be read or to be taken by the peer: the kernel tells what they need beside the bytes that they carry.</summary>
/// <remarks>
/// No table in /proc has that. The kernel answers a question by netlink (<c>sock_diag</c>) from inside the namespace. A sandbox with 262,144 places
/// in the host's table of connections is asked in a quarter of a millisecond.
/// </remarks>
internal static class WaitingPackets
{
    private const int NetlinkFamily = 16;
    private const int NetlinkOfSockets = 4;
    private const int Raw = 3 | Libc.CloseOnExec;

    // The old question is about both families, for each of which the kernel would go through its whole table.
    private const ushort AllOfTcp = 18;
    private const ushort ByFamily = 20;
    private const ushort Request = 1;
    private const ushort Dump = 0x300;
    private const ushort Done = 3;
    private const ushort ErrorAnswer = 2;
    private const byte Udp = 17;
    private const byte InterNetwork = 2;
    private const byte InterNetwork6 = 10;
    private const ushort MemoryAttribute = 7;
    private const byte AskForMemory = 1 << (MemoryAttribute - 1);
    private const uint AllStates = uint.MaxValue;

    // Each message begins with its length and kind, each attribute too.
    private const int HeaderSize = 16;
    private const int AttributeHeaderSize = 4;

    // Of struct inet_diag_msg.
    private const int StateOffset = 1;
    private const int PeerOffset = 24;
    private const int ReceivedOffset = 56;
    private const int SentOffset = 60;
    private const int InodeOffset = 68;
    private const int AttributesOffset = 72;
    private const byte Established = 1;
    private const byte ClosedByPeer = 8;
    private const byte Listens = 10;

    // A sandbox that keeps more sockets than that is found by what they cost.
    private const int MostSockets = 65_536;
    private const int BufferSize = 64 * 1024;

    // A packet is 832 bytes beside what it carries here, and carries up to 64 kB where much is sent.
    private const long LeastPacket = 768;
    private const long FullPacket = 60_000;

    // What a connection that nobody has accepted may hold (tcp_rmem of a sandbox's network), and which is charged to nobody.
    private const long MostUnaccepted = 32 * 1024;

    /// <summary>Counts those of a process's namespace. The calling thread moves into that, and must come back itself.</summary>
    /// <param name="pid">The process, which may be gone.</param>
    /// <param name="own">The address in that namespace from which packets leave; 0 when none leave.</param>
    /// <param name="charged">Bytes in sockets that are charged to the sandbox. What no table lists has the rest of them, such as a connection that both sides have closed before all was read.</param>
    /// <returns>All packets, and those of them that carry less than full ones would; null where the kernel gives no answer.</returns>
    internal static (long All, long Small)? Count(int pid, uint own, long charged)
    {
        try
        {
            if (charged == 0 && !SocketTables.HasConnections(pid))
            {
                return (0, 0);
            }

            using var network = File.OpenHandle($"/proc/{pid}/ns/net");
            return Libc.SetNamespace(network, Libc.NewNetworkNamespace) == 0 ? CountHere(own, charged) : null;
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
        var sums = new Sums(own);
        var buffer = new byte[BufferSize];
        if (kernel.IsInvalid || !Ask(kernel, AllOfTcp, 0, 0, sums, buffer))
        {
            return null;
        }

        // A kernel that does not tell of UDP has what waits there taken for packets, which only matters with many.
        _ = Ask(kernel, ByFamily, InterNetwork, Udp, sums, buffer) && Ask(kernel, ByFamily, InterNetwork6, Udp, sums, buffer);
        var elsewhere = Math.Max(0, charged - sums.Charged) + (Math.Max(0, sums.Unlisted) * MostUnaccepted);
        return ((sums.All + elsewhere) / LeastPacket, (sums.Small + elsewhere) / LeastPacket);
    }

    private static bool Ask(SafeFileHandle kernel, ushort kind, byte family, byte protocol, Sums sums, byte[] buffer)
    {
        // The header; then family, protocol and what else to tell in the new question, and the last of them in the old one too; then states and an id.
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

                if (size >= HeaderSize + AttributesOffset && ++sums.Sockets <= MostSockets)
                {
                    sums.Add(protocol is Udp, messages[HeaderSize..size]);
                }

                messages = messages[Math.Min(Aligned(size), messages.Length)..];
            }
        }

        return false;
    }

    private static int Aligned(int length) => (length + 3) & ~3;

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

    /// <summary>Bytes that packets need beside what they carry, over all sockets that the kernel lists.</summary>
    private sealed class Sums(uint own)
    {
        internal int Sockets { get; set; }

        internal long All { get; private set; }

        /// <summary>The same without what the fewest packets would need.</summary>
        internal long Small { get; private set; }

        /// <summary>All bytes that are charged for sockets which somebody has.</summary>
        internal long Charged { get; private set; }

        /// <summary>Connections that nobody has accepted, without those that are listed: a client that resets its connection takes it off the list.</summary>
        internal long Unlisted { get; private set; }

        internal void Add(bool isUdp, ReadOnlySpan<byte> socket)
        {
            var (received, toSend) = (MemoryMarshal.Read<uint>(socket[ReceivedOffset..]), MemoryMarshal.Read<uint>(socket[SentOffset..]));
            var hasOwner = MemoryMarshal.Read<uint>(socket[InodeOffset..]) != 0;
            if (!isUdp && socket[StateOffset] is Listens)
            {
                // It has the length of its queue where others have bytes.
                Unlisted += received;
                return;
            }

            Unlisted -= !isUdp && !hasOwner && socket[StateOffset] is Established or ClosedByPeer ? 1 : 0;
            var memory = Memory(socket[AttributesOffset..]);
            if (memory.Length < 6)
            {
                return;
            }

            var (inReceived, ahead, inToSend) = (memory[0], memory[4], memory[5]);
            Charged += hasOwner ? (long)inReceived + ahead + inToSend : 0;
            if (isUdp)
            {
                return;
            }

            // What comes from elsewhere was not written by the sandbox, and lies in memory of the size that is counted.
            Add(inToSend, toSend);
            if (IsInside(socket[0], socket[PeerOffset..]))
            {
                Add(inReceived, received);
            }
        }

        private void Add(long all, long carried)
        {
            var beside = Math.Max(0, all - carried);
            All += beside;
            Small += Math.Max(0, beside - (carried * LeastPacket / FullPacket));
        }

        /// <summary>Bytes received, bound of that, bytes in the hands of the link, bound of that, bytes charged ahead, bytes to be sent, and more.</summary>
        private static ReadOnlySpan<uint> Memory(ReadOnlySpan<byte> attributes)
        {
            while (attributes.Length >= AttributeHeaderSize)
            {
                var size = MemoryMarshal.Read<ushort>(attributes);
                if (size < AttributeHeaderSize || size > attributes.Length)
                {
                    break;
                }

                if (MemoryMarshal.Read<ushort>(attributes[2..]) == MemoryAttribute)
                {
                    return MemoryMarshal.Cast<byte, uint>(attributes[AttributeHeaderSize..size]);
                }

                attributes = attributes[Math.Min(Aligned(size), attributes.Length)..];
            }

            return [];
        }

        /// <summary>Whether the peer is in the namespace too: no packet of IPv6 leaves it.</summary>
        private bool IsInside(byte family, ReadOnlySpan<byte> address)
        {
            if (family is not InterNetwork)
            {
                if (!new IPAddress(address[..16]).IsIPv4MappedToIPv6)
                {
                    return true;
                }

                address = address[12..];
            }

            return own == 0 || address[0] == 127 || BinaryPrimitives.ReadUInt32BigEndian(address) == own;
        }
    }
}
