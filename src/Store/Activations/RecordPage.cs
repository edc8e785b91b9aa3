using System.Diagnostics;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Journal;

namespace Frusta.Store.Activations;

/// <summary>The place of one record, or of the part before its logs when these are not read.</summary>
public readonly record struct RecordLocation
{
    internal RecordLocation(ActivationId id, LogPosition position, int? bytes = null)
    {
        Id = id;
        Position = position;
        Bytes = bytes ?? position.Length;
    }

    /// <summary>Id of the activation.</summary>
    public ActivationId Id { get; }

    /// <summary>Bytes that are read for it, a little more than the record has.</summary>
    public int Bytes { get; }

    internal LogPosition Position { get; }
}

/// <summary>Some records in one piece of memory, which is given back when the page is disposed.</summary>
public sealed class RecordPage : IDisposable
{
    private readonly MappedBuffer _bytes;
    private readonly List<(int Start, int Length)> _records = [];

    /// <param name="capacity">Bytes of all entries together.</param>
    internal RecordPage(int capacity) => _bytes = MappedBuffer.Reserve(Math.Max(capacity, 1));

    /// <summary>Number of records.</summary>
    public int Count => _records.Count;

    /// <summary>The JSON of one record (see <see cref="FinishedActivation"/>), or the part before its logs.</summary>
    public ReadOnlyMemory<byte> this[int index] => _bytes.Memory.Slice(_records[index].Start, _records[index].Length);

    public void Dispose() => _bytes.Dispose();

    /// <summary>Reads a record and adds it, unless it was dropped.</summary>
    internal void Read(SegmentedLog log, RecordLocation location)
    {
        Debug.Assert(location.Bytes <= location.Position.Length, "No more is read of an entry than it has.");
        var payload = _bytes.Extend(location.Bytes);
        if (!log.TryRead(location.Position, payload, out var type))
        {
            return;
        }

        var head = RecordHead.Read(payload, type);
        if (head.Id == location.Id)
        {
            _records.Add((_bytes.Length - location.Bytes + head.Length, location.Bytes - head.Length));
        }
    }
}
