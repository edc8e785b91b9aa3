using System.Buffers.Binary;
using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Bus;

/// <summary>The types of entries in the accepted log, each with its payload; numbers in brackets are bytes.</summary>
internal enum EntryType : byte
{
    /// <summary>Id (16), retries (4) that are left, the message as JSON.</summary>
    Accepted = 1,

    /// <summary>Id (16), milliseconds since 1970 (6), number of earlier starts (2).</summary>
    Started = 2,

    /// <summary>Id (16) of an accepted activation that ended without a record.</summary>
    Done = 3,

    /// <summary>The trigger's record, then each message: its length (4), and the payload of <see cref="Accepted"/>.</summary>
    Fire = 4,
}

/// <summary>Writes and reads the payloads of the accepted log. Numbers are little-endian, ids big-endian.</summary>
internal static class AcceptedEntry
{
    internal const int HeadBytes = 20;

    /// <summary>The entry that accepts the activation. The caller disposes it.</summary>
    internal static PooledBuffer OfAccepted(PendingActivation pending)
    {
        var entry = PooledBuffer.Rent(pending.SizeBytes + 512);
        WriteAccepted(pending.Message, pending.Retries, entry);
        return entry;
    }

    internal static void WriteAccepted(ActivationMessage message, int retries, PooledBuffer destination)
    {
        var head = destination.GetSpan(HeadBytes);
        message.Id.WriteBytes(head);
        BinaryPrimitives.WriteInt32LittleEndian(head[16..], retries);
        destination.Advance(HeadBytes);
        ActivationMessageCodec.Write(message, destination);
    }

    /// <summary>Makes it the entry of an activation that has started: it may start once less after a crash, and if it is not to be retried, not again.</summary>
    internal static void TakeRetry(Span<byte> accepted) => BinaryPrimitives.WriteInt32LittleEndian(accepted[16..], ReadRetries(accepted) - 1);

    internal static int ReadRetries(ReadOnlySpan<byte> accepted) => BinaryPrimitives.ReadInt32LittleEndian(accepted[16..]);

    internal static void WriteFire(FinishedActivation record, IReadOnlyList<PendingActivation> activations, PooledBuffer destination)
    {
        WriteRecord(record, destination);
        for (var i = 0; i < activations.Count; i++)
        {
            var at = destination.Length;
            WriteInt32(destination, 0);
            WriteAccepted(activations[i].Message, activations[i].Retries, destination);
            BinaryPrimitives.WriteInt32LittleEndian(destination.WrittenSpan[at..], destination.Length - at - sizeof(int));
        }
    }

    /// <summary>Reads the trigger's record of a fire; <see cref="TryReadNext"/> reads the messages in <paramref name="rest"/>.</summary>
    internal static FinishedActivation ReadRecord(ReadOnlySpan<byte> fire, out ReadOnlySpan<byte> rest)
    {
        var id = ActivationId.FromBytes(fire);
        var startMs = BinaryPrimitives.ReadInt64LittleEndian(fire[16..]);
        var endMs = BinaryPrimitives.ReadInt64LittleEndian(fire[24..]);
        var resultOffset = BinaryPrimitives.ReadInt32LittleEndian(fire[32..]);
        var resultLength = BinaryPrimitives.ReadInt32LittleEndian(fire[36..]);
        var logsOffset = BinaryPrimitives.ReadInt32LittleEndian(fire[40..]);
        var status = (ActivationStatus)fire[44];
        var store = fire[45] != 0;
        rest = fire[48..];
        var spaceName = Encoding.UTF8.GetString(ReadBytes(ref rest));
        var filterName = Encoding.UTF8.GetString(ReadBytes(ref rest));
        return new FinishedActivation
        {
            Id = id,
            Namespace = spaceName,
            FilterName = filterName,
            StartMs = startMs,
            EndMs = endMs,
            Status = status,
            ResultOffset = resultOffset,
            ResultLength = resultLength,
            LogsOffset = logsOffset,
            Store = store,
            Record = PooledBuffer.Copy(ReadBytes(ref rest)),
        };
    }

    /// <summary>Takes the next message, in the form of <see cref="EntryType.Accepted"/>, off the rest of a fire.</summary>
    internal static bool TryReadNext(ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> accepted)
    {
        accepted = rest.IsEmpty ? default : ReadBytes(ref rest);
        return !accepted.IsEmpty;
    }

    private static void WriteRecord(FinishedActivation record, PooledBuffer destination)
    {
        var head = destination.GetSpan(48)[..48];
        head.Clear();
        record.Id.WriteBytes(head);
        BinaryPrimitives.WriteInt64LittleEndian(head[16..], record.StartMs);
        BinaryPrimitives.WriteInt64LittleEndian(head[24..], record.EndMs);
        BinaryPrimitives.WriteInt32LittleEndian(head[32..], record.ResultOffset);
        BinaryPrimitives.WriteInt32LittleEndian(head[36..], record.ResultLength);
        BinaryPrimitives.WriteInt32LittleEndian(head[40..], record.LogsOffset);
        head[44] = (byte)record.Status;
        head[45] = record.Store ? (byte)1 : (byte)0;
        destination.Advance(48);
        WriteBytes(destination, Encoding.UTF8.GetBytes(record.Namespace));
        WriteBytes(destination, Encoding.UTF8.GetBytes(record.FilterName));
        WriteBytes(destination, record.Record.Span);
    }

    private static void WriteBytes(PooledBuffer destination, ReadOnlySpan<byte> bytes)
    {
        WriteInt32(destination, bytes.Length);
        destination.Write(bytes);
    }

    private static void WriteInt32(PooledBuffer destination, int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(destination.GetSpan(sizeof(int)), value);
        destination.Advance(sizeof(int));
    }

    private static ReadOnlySpan<byte> ReadBytes(ref ReadOnlySpan<byte> rest)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(rest);
        var bytes = rest.Slice(sizeof(int), length);
        rest = rest[(sizeof(int) + length)..];
        return bytes;
    }
}
