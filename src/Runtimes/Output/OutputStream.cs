using System.Buffers;
using Frusta.Contracts.Buffers;
using Frusta.Sandboxes.Processes;
using Frusta.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Runtimes.Output;

/// <summary>Cuts one of the two pipes of a sandbox's output into lines.</summary>
internal sealed class OutputStream(SafeFileHandle handle, bool isError)
{
    private const int ChunkBytes = 16 * 1024;

    // OpenWhisk takes its lines from Docker's logs, which cut them into pieces of at most this size.
    private const int PieceBytes = 16 * 1024;

    private readonly SafeFileHandle _handle = handle;
    private PooledBuffer? _line; // the beginning of a line whose end has not come
    private bool _closed;

    public void Watch(SafeFileHandle epoll, long number) => Epoll.Watch(epoll, _handle, number, Epoll.Readable | Epoll.EdgeTriggered);

    /// <summary>True when neither pipe has bytes or its end to read.</summary>
    public static bool AreEmpty(OutputStream one, OutputStream other) => OutputPipe.AreEmpty(one._closed ? null : one._handle, other._closed ? null : other._handle);

    /// <summary>
    /// Reads the bytes that are there now, at most <paramref name="most"/>; true when more is left. Without that bound it reads at most the bytes that a
    /// pipe holds: 64 KiB, or 1 MiB where the sandbox enlarged it. So a fast writer keeps neither the reading thread nor the collector's lock.
    /// </summary>
    public bool Read(LogLines lines, int most)
    {
        if (_closed)
        {
            return false;
        }

        Span<byte> first = stackalloc byte[512]; // most activations write nothing or one line: no array is rented for them
        var count = ReadPipe(first);
        if (count <= 0)
        {
            return false;
        }

        Take(first[..count], lines);
        if (count < first.Length)
        {
            return false;
        }

        var there = OutputPipe.Count(_handle);
        var chunk = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        for (var left = Math.Min(there, most - count); left > 0 && (count = ReadPipe(chunk.AsSpan(0, Math.Min(left, chunk.Length)))) > 0; left -= count)
        {
            Take(chunk.AsSpan(0, count), lines);
        }

        ArrayPool<byte>.Shared.Return(chunk);
        return there > most - first.Length;
    }

    /// <summary>Adds the bytes behind the last line end as a line, when the activation is over.</summary>
    public void EndLine(LogLines lines)
    {
        if (_line is not null)
        {
            Add([], lines, isPiece: false);
        }
    }

    public void Close()
    {
        _closed = true;
        _line?.Dispose();
        _line = null;
    }

    private int ReadPipe(Span<byte> buffer)
    {
        var count = OutputPipe.Read(_handle, buffer);
        _closed = count == 0;
        return count;
    }

    private void Take(ReadOnlySpan<byte> bytes, LogLines lines)
    {
        if (lines.IsFull)
        {
            // The logs take no more lines, so there is no need to cut any.
            return;
        }

        while (bytes.Length > 0)
        {
            var end = bytes.IndexOf((byte)'\n');
            var part = end < 0 ? bytes : bytes[..end];
            for (int room; part.Length >= (room = PieceBytes - (_line?.Length ?? 0)); part = part[room..])
            {
                Add(part[..room], lines, isPiece: true);
            }

            if (end < 0)
            {
                Keep(part);
                return;
            }

            Add(part, lines, isPiece: false);
            bytes = bytes[(end + 1)..];
        }
    }

    private void Add(ReadOnlySpan<byte> part, LogLines lines, bool isPiece)
    {
        if (_line is null)
        {
            lines.Add(part, isError, isPiece);
            return;
        }

        _line.Write(part);
        lines.Add(_line.Span, isError, isPiece);
        _line.Dispose();
        _line = null;
    }

    private void Keep(ReadOnlySpan<byte> part)
    {
        if (part.Length > 0)
        {
            _line ??= PooledBuffer.Rent(part.Length);
            _line.Write(part);
        }
    }
}
