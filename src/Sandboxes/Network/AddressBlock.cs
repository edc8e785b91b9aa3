using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Frusta.Sandboxes.Layout;

namespace Frusta.Sandboxes.Network;

/// <summary>The /22 network of this instance: the first address is the gateway's, the rest are for sandboxes.</summary>
internal sealed class AddressBlock
{
    internal const int PrefixLength = 22;
    private const uint Size = 1u << (32 - PrefixLength);

    /// <summary>Number of addresses for sandboxes.</summary>
    internal const int Addresses = (int)Size - 3;

    // The address that came back last is used again last, so that late packets for its former sandbox do not reach another.
    private readonly Queue<uint> _free;
    private readonly Lock _lock = new();
    private readonly uint _first;

    private AddressBlock(uint first)
    {
        _first = first;
        _free = new Queue<uint>(Enumerable.Range(2, Addresses).Select(i => first + (uint)i));
    }

    internal IPAddress Gateway => Address(_first + 1);

    /// <summary>The block in CIDR form.</summary>
    internal string Network => $"{Address(_first)}/{PrefixLength}";

    /// <summary>Claims the first block that neither a route of the host nor another instance has; null when there is none. To be called under the run lock.</summary>
    internal static AddressBlock? Claim(SandboxesOptions options, InstanceFolder instance)
    {
        var subnet = IPNetwork.Parse(options.Network.Subnet);
        var start = Number(subnet.BaseAddress);
        var end = (ulong)start + (1ul << (32 - subnet.PrefixLength));
        var taken = Routes().Concat(InstanceFolder.Noted(options, NoteKind.Subnet).Select(Range)).ToList();
        for (ulong first = start; first < end; first += Size)
        {
            var block = (uint)first;
            if (taken.TrueForAll(range => range.Last < block || range.First > block + Size - 1))
            {
                var claimed = new AddressBlock(block);
                instance.Note(NoteKind.Subnet, claimed.Network);
                return claimed;
            }
        }

        return null;
    }

    /// <summary>An address for a sandbox; null when all are in use.</summary>
    internal uint? Take()
    {
        lock (_lock)
        {
            return _free.TryDequeue(out var address) ? address : null;
        }
    }

    internal void GiveBack(uint address)
    {
        lock (_lock)
        {
            Debug.Assert(!_free.Contains(address), "Two sandboxes would have one address.");
            _free.Enqueue(address);
        }
    }

    internal static IPAddress Address(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }

    private static uint Number(IPAddress address) => BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());

    private static (uint First, uint Last) Range(string network)
    {
        var parsed = IPNetwork.Parse(network);
        var first = Number(parsed.BaseAddress);
        return (first, (uint)(first + (1ul << (32 - parsed.PrefixLength)) - 1));
    }

    private static IEnumerable<(uint First, uint Last)> Routes()
    {
        // Iface Destination Gateway Flags RefCnt Use Metric Mask ... ; numbers are hexadecimal in the processor's byte order.
        foreach (var line in File.ReadLines("/proc/net/route").Skip(1))
        {
            var fields = line.Split('\t');
            var destination = BinaryPrimitives.ReverseEndianness(uint.Parse(fields[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            var mask = BinaryPrimitives.ReverseEndianness(uint.Parse(fields[7], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            if (mask != 0)
            {
                yield return (destination, destination | ~mask);
            }
        }
    }
}
