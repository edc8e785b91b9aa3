using System.Buffers;

namespace Frusta.Journal;

/// <summary>Reads the entries of one segment in order, a chunk at a time, through its descriptor.</summary>
internal sealed class SegmentReader(LogSegment segment, int start, int end) : IDisposable
{
    private const int ChunkBytes = 256 * 1024;

    private byte[] _chunk = ArrayPool<byte>.Shared.Rent(ChunkBytes);
    private int _chunkStart;
    private int _chunkLength;
    private int _payloadInChunk;

    /// <summary>Byte where the next entry begins; after a failed read, where the unreadable entry begins.</summary>
    internal int Offset { get; private set; } = start;

    internal EntryHeader Header { get; private set; }

    internal ReadOnlySpan<byte> Payload => _chunk.AsSpan(_payloadInChunk, Header.Length);

    internal LogPosition Position { get; private set; }

    /// <summary>Reads the next entry; false at the end, or when the bytes there are no entry of this segment.</summary>
    internal bool TryRead()
    {
        if (end - Offset < EntryFormat.HeaderBytes
            || !TryLoad(Offset, EntryFormat.HeaderBytes, out var at)
            || !EntryFormat.TryReadHeader(_chunk.AsSpan(at), segment.Identity, Offset, out var header)
            || EntryFormat.TotalBytes(header.Length) > end - Offset
            || !TryLoad(Offset, EntryFormat.HeaderBytes + header.Length, out at))
        {
            return false;
        }

        if (EntryFormat.Crc(0, _chunk.AsSpan(at + EntryFormat.HeaderBytes, header.Length)) != header.PayloadCrc)
        {
            return false;
        }

        _payloadInChunk = at + EntryFormat.HeaderBytes;
        Header = header;
        Position = new LogPosition(segment.Number, Offset + EntryFormat.HeaderBytes, header.Length);
        Offset += (int)EntryFormat.TotalBytes(header.Length);
        return true;
    }

    /// <summary>Looks for a header at any later place, whether its entry is whole or not; false when there is none up to the end.</summary>
    internal bool TryFindHeader(out EntryHeader header)
    {
        for (Offset += 8; end - Offset >= EntryFormat.HeaderBytes; Offset += 8)
        {
            if (!TryLoad(Offset, EntryFormat.HeaderBytes, out var at))
            {
                break;
            }

            if (EntryFormat.TryReadHeader(_chunk.AsSpan(at), segment.Identity, Offset, out header))
            {
                return true;
            }
        }

        header = default;
        return false;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_chunk);
        _chunk = [];
    }

    private bool TryLoad(int offset, int length, out int at)
    {
        at = offset - _chunkStart;
        if (at >= 0 && at + length <= _chunkLength)
        {
            return true;
        }

        if (length > _chunk.Length)
        {
            ArrayPool<byte>.Shared.Return(_chunk);
            _chunk = ArrayPool<byte>.Shared.Rent(length);
        }

        _chunkStart = offset;
        _chunkLength = 0;
        at = 0;
        var wanted = Math.Min(_chunk.Length, end - offset);
        while (_chunkLength < wanted)
        {
            var read = RandomAccess.Read(segment.File, _chunk.AsSpan(_chunkLength, wanted - _chunkLength), offset + _chunkLength);
            if (read == 0)
            {
                break;
            }

            _chunkLength += read;
        }

        return length <= _chunkLength;
    }
}
