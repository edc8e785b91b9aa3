using System.Buffers.Binary;
using System.Text;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Store.Activations;

/// <summary>What stands in front of a record in the log: all that an index needs, so that it is rebuilt without reading JSON.</summary>
/// <remarks>Little-endian: id (16, big-endian), start (8), end (8), status (1), length of namespace (2) and of filter name (2), both in UTF-8.</remarks>
internal readonly ref struct RecordHead
{
    /// <summary>Type of a log entry with a record behind the head.</summary>
    public const byte Kept = 1;

    /// <summary>Type of a log entry that is a head only: the activation ended, and a rule says that its record is not kept.</summary>
    public const byte NotKept = 2;

    /// <summary>Greatest length of a head: two names of at most 64 KiB.</summary>
    public const int MaxBytes = FixedBytes + 2 * ushort.MaxValue;

    private const int FixedBytes = 37;

    private RecordHead(ReadOnlySpan<byte> bytes)
    {
        Id = ActivationId.FromBytes(bytes);
        StartMs = BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]);
        EndMs = BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]);
        Status = (ActivationStatus)bytes[32];
        var namespaceLength = BinaryPrimitives.ReadUInt16LittleEndian(bytes[33..]);
        var nameLength = BinaryPrimitives.ReadUInt16LittleEndian(bytes[35..]);
        Namespace = bytes.Slice(FixedBytes, namespaceLength);
        FilterName = bytes.Slice(FixedBytes + namespaceLength, nameLength);
        Length = FixedBytes + namespaceLength + nameLength;
    }

    public ActivationId Id { get; }

    public long StartMs { get; }

    public long EndMs { get; }

    public ActivationStatus Status { get; }

    public ReadOnlySpan<byte> Namespace { get; }

    public ReadOnlySpan<byte> FilterName { get; }

    /// <summary>Bytes of the head; the record begins behind them.</summary>
    public int Length { get; }

    public static RecordHead Read(ReadOnlySpan<byte> payload) => new(payload);

    /// <summary>Greatest number of bytes that <see cref="Write"/> needs.</summary>
    public static int Room(FinishedActivation finished) => FixedBytes + 3 * (finished.Namespace.Length + finished.FilterName.Length);

    /// <summary>Writes the head and returns its length.</summary>
    public static int Write(FinishedActivation finished, Span<byte> destination)
    {
        finished.Id.WriteBytes(destination);
        BinaryPrimitives.WriteInt64LittleEndian(destination[16..], finished.StartMs);
        BinaryPrimitives.WriteInt64LittleEndian(destination[24..], finished.EndMs);
        destination[32] = (byte)finished.Status;
        var namespaceLength = Encoding.UTF8.GetBytes(finished.Namespace, destination[FixedBytes..]);
        var nameLength = Encoding.UTF8.GetBytes(finished.FilterName, destination[(FixedBytes + namespaceLength)..]);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[33..], checked((ushort)namespaceLength));
        BinaryPrimitives.WriteUInt16LittleEndian(destination[35..], checked((ushort)nameLength));
        return FixedBytes + namespaceLength + nameLength;
    }
}
