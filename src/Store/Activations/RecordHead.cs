using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Store.Activations;

/// <summary>The bytes in front of a record in the log. They hold all that an index needs, so that an index is rebuilt without reading JSON.</summary>
/// <remarks>
/// Little-endian: id (16, big-endian), start (8), end (8), status (1), length of namespace (2) and of filter name (2); for the type <see cref="Kept"/> the
/// offset of the logs in the record (4); then both names in UTF-8. Numbers in brackets are bytes.
/// </remarks>
internal readonly ref struct RecordHead
{
    /// <summary>
    /// Type of a log entry with a record behind the head, from a version whose heads did not have the offset of the logs. Such a record is read whole.
    /// </summary>
    public const byte KeptWithoutOffset = 1;

    /// <summary>Type of a log entry that is a head only: the activation ended, and its record is not kept because the namespace's limits say so.</summary>
    public const byte NotKept = 2;

    /// <summary>Type of a log entry with a record behind the head, whose head has the offset of the record's logs.</summary>
    public const byte Kept = 3;

    /// <summary>Bytes at the beginning of an entry that tell how long its head is and where the logs are.</summary>
    public const int LeadBytes = FixedBytes + OffsetBytes;

    /// <summary>Greatest length of a head: two names of at most 64 KiB.</summary>
    public const int MaxBytes = LeadBytes + 2 * ushort.MaxValue;

    private const int FixedBytes = 37;
    private const int OffsetBytes = 4;

    private RecordHead(ReadOnlySpan<byte> bytes, byte type)
    {
        Id = ActivationId.FromBytes(bytes);
        StartMs = BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]);
        EndMs = BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]);
        Status = (ActivationStatus)bytes[32];
        var namespaceLength = BinaryPrimitives.ReadUInt16LittleEndian(bytes[33..]);
        var nameLength = BinaryPrimitives.ReadUInt16LittleEndian(bytes[35..]);
        var names = NamesOffset(type == Kept);
        Namespace = bytes.Slice(names, namespaceLength);
        FilterName = bytes.Slice(names + namespaceLength, nameLength);
        Length = names + namespaceLength + nameLength;
    }

    public ActivationId Id { get; }

    public long StartMs { get; }

    public long EndMs { get; }

    public ActivationStatus Status { get; }

    public ReadOnlySpan<byte> Namespace { get; }

    public ReadOnlySpan<byte> FilterName { get; }

    /// <summary>Bytes of the head; the record begins behind them.</summary>
    public int Length { get; }

    public static RecordHead Read(ReadOnlySpan<byte> payload, byte type) => new(payload, type);

    /// <summary>Bytes of an entry before the logs of its record; null when its head does not tell.</summary>
    /// <param name="lead">The first <see cref="LeadBytes"/> of the entry.</param>
    /// <param name="type">Its type.</param>
    public static int? BytesBeforeLogs(ReadOnlySpan<byte> lead, byte type) => type != Kept ? null
        : LeadBytes + BinaryPrimitives.ReadUInt16LittleEndian(lead[33..]) + BinaryPrimitives.ReadUInt16LittleEndian(lead[35..])
            + BinaryPrimitives.ReadInt32LittleEndian(lead[FixedBytes..]);

    /// <summary>Greatest number of bytes that <see cref="Write"/> needs.</summary>
    public static int Room(FinishedActivation finished) => LeadBytes + 3 * (finished.Namespace.Length + finished.FilterName.Length);

    /// <summary>Writes the head and returns its length.</summary>
    public static int Write(FinishedActivation finished, Span<byte> destination)
    {
        finished.Id.WriteBytes(destination);
        BinaryPrimitives.WriteInt64LittleEndian(destination[16..], finished.StartMs);
        BinaryPrimitives.WriteInt64LittleEndian(destination[24..], finished.EndMs);
        destination[32] = (byte)finished.Status;
        Debug.Assert(!finished.Store || (finished.LogsOffset > 0 && finished.LogsOffset < finished.Record.Length && finished.Record.Span[finished.LogsOffset] == (byte)'['),
            "The offset of the logs is that of an array in the record.");
        var names = NamesOffset(finished.Store);
        if (finished.Store)
        {
            BinaryPrimitives.WriteInt32LittleEndian(destination[FixedBytes..], finished.LogsOffset);
        }

        var namespaceLength = Encoding.UTF8.GetBytes(finished.Namespace, destination[names..]);
        var nameLength = Encoding.UTF8.GetBytes(finished.FilterName, destination[(names + namespaceLength)..]);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[33..], checked((ushort)namespaceLength));
        BinaryPrimitives.WriteUInt16LittleEndian(destination[35..], checked((ushort)nameLength));
        return names + namespaceLength + nameLength;
    }

    private static int NamesOffset(bool hasOffset) => hasOffset ? LeadBytes : FixedBytes;
}
