using System.Buffers.Binary;
using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Frusta.Journal;

/// <summary>The bytes in front of a payload, and how they are checked.</summary>
/// <remarks>
/// Little-endian: payload length (4), CRC32C of the payload (4), how far the segment was synced when the entry was
/// appended (4), type (1), zero (3), CRC32C of all this (4), zero (4). The last one is seeded with the segment's number,
/// its salt and the entry's offset: neither an old entry of a recycled segment nor bytes that a client sent are ever
/// taken for an entry. Entries begin at multiples of 8.
/// </remarks>
internal static class EntryFormat
{
    internal const int HeaderBytes = 24;

    /// <summary>The type that ends a segment; callers use 1 to 255.</summary>
    internal const byte Seal = 0;

    private const int CheckedBytes = 16;

    /// <summary>Bytes that an entry takes with header and padding.</summary>
    internal static long TotalBytes(int payloadBytes) => ((long)HeaderBytes + payloadBytes + 7) & ~7L;

    internal static uint Crc(uint crc, ReadOnlySpan<byte> bytes)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (var word in words)
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (var single in bytes[(words.Length * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, single);
        }

        return crc;
    }

    internal static void WriteHeader(Span<byte> destination, in EntryHeader header, SegmentIdentity segment, int offset)
    {
        Debug.Assert(header.Length >= 0 && header.SyncedTo >= 0 && header.SyncedTo <= offset, "An entry says of bytes in front of it that they were synced.");
        BinaryPrimitives.WriteInt32LittleEndian(destination, header.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], header.PayloadCrc);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], header.SyncedTo);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], header.Type);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[CheckedBytes..], Check(destination, segment, offset));
        BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], 0);
    }

    /// <summary>Reads the header that stands at the offset; false when the bytes are no header of this segment.</summary>
    internal static bool TryReadHeader(ReadOnlySpan<byte> source, SegmentIdentity segment, int offset, out EntryHeader header)
    {
        header = default;
        if (source.Length < HeaderBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(source[CheckedBytes..]) == 0
            || BinaryPrimitives.ReadUInt32LittleEndian(source[20..]) != 0
            || BinaryPrimitives.ReadUInt32LittleEndian(source[CheckedBytes..]) != Check(source, segment, offset))
        {
            return false;
        }

        header = new EntryHeader(
            BinaryPrimitives.ReadInt32LittleEndian(source),
            BinaryPrimitives.ReadUInt32LittleEndian(source[4..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[8..]),
            source[12]);
        return header.Length >= 0;
    }

    private static uint Check(ReadOnlySpan<byte> header, SegmentIdentity segment, int offset)
    {
        var seed = BitOperations.Crc32C(BitOperations.Crc32C(~0u, segment.Salt), (ulong)segment.Number);
        var check = ~Crc(BitOperations.Crc32C(seed, (uint)offset), header[..CheckedBytes]);
        return check == 0 ? 1 : check; // An unused place holds zero: a search for headers skips it without a computation.
    }
}

/// <summary>The header in front of a payload.</summary>
/// <param name="Length">Bytes of the payload.</param>
/// <param name="PayloadCrc">CRC32C of the payload.</param>
/// <param name="SyncedTo">Offset up to which this segment was known to be on disk at the time; 0 when the segments before it were not known to be either.</param>
/// <param name="Type">The caller's type, or <see cref="EntryFormat.Seal"/>.</param>
internal readonly record struct EntryHeader(int Length, uint PayloadCrc, int SyncedTo, byte Type);

/// <summary>Tells the entries of one use of a file from those of another: their checksums are seeded with it.</summary>
internal readonly record struct SegmentIdentity(long Number, ulong Salt);
