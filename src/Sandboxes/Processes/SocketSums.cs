using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Processes;

/// <summary>Sums, over all sockets that the kernel lists, the bytes that packets need beside their data.</summary>
internal sealed class SocketSums(uint own)
{
    internal const ushort MemoryAttribute = 7;

    // A packet needs 832 bytes beside its data here, and has up to 64 kB of data where much is sent.
    internal const long LeastPacket = 768;

    // A packet by TCP holds up to 17 pieces.
    internal const long PiecesOfPacket = 17;
    private const long FullPacket = 60_000;

    // Offsets in the kernel's struct inet_diag_msg.
    private const int StateOffset = 1;
    private const int PeerOffset = 24;
    private const int ReceivedOffset = 56;
    private const int SentOffset = 60;
    private const int InodeOffset = 68;
    private const int AttributesOffset = 72;
    private const byte Established = 1;
    private const byte ClosedByPeer = 8;
    private const byte Listens = 10;
    private const byte InterNetwork = 2;

    // Each attribute begins with its length and kind.
    private const int AttributeHeaderSize = 4;

    internal int Sockets { get; set; }

    internal long All { get; private set; }

    /// <summary><see cref="All"/> without the bytes that full packets with the same data would need.</summary>
    internal long Small { get; private set; }

    /// <summary>All bytes that are charged for sockets that a process has.</summary>
    internal long Charged { get; private set; }

    /// <summary>Connections that no process has accepted and that the kernel does not list: one that its client has reset is off the list.</summary>
    internal long Unlisted { get; private set; }

    /// <summary>The length with padding: messages and attributes begin at multiples of four bytes.</summary>
    internal static int Aligned(int length) => (length + 3) & ~3;

    /// <summary>Adds a socket, as the kernel describes it (struct inet_diag_msg).</summary>
    internal void Add(bool isUdp, ReadOnlySpan<byte> socket)
    {
        if (socket.Length < AttributesOffset)
        {
            return;
        }

        var (received, toSend) = (MemoryMarshal.Read<uint>(socket[ReceivedOffset..]), MemoryMarshal.Read<uint>(socket[SentOffset..]));
        var hasOwner = MemoryMarshal.Read<uint>(socket[InodeOffset..]) != 0;
        if (!isUdp && socket[StateOffset] is Listens)
        {
            // A listener has the length of its queue where other sockets have bytes.
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
            // A datagram that is sent in segments (UDP_SEGMENT) is one piece, and needs the objects of a whole packet. The kernel tells only their sum.
            Add(inReceived / PiecesOfPacket, carried: 0);
            return;
        }

        // Bytes from another host were not written by the sandbox, and lie in memory of the size that the kernel counts.
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

    /// <summary>
    /// The kernel's figures: bytes received and their bound, bytes handed to the link and their bound, bytes charged ahead, bytes to be sent, and more.
    /// </summary>
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

    /// <summary>True when the peer is in the same namespace, as always with IPv6, of which no packet leaves it.</summary>
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
