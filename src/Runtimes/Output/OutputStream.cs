using System.Buffers;
using Frusta.Contracts.Buffers;
using Frusta.Sandboxes.Processes;
using Frusta.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Runtimes.Output;

/// <summary>One of the two pipes, cut into lines.</summary>
internal sealed class OutputStream(SafeFileHandle handle, bool isError)
{
    private const int ChunkBytes = 16 * 1024;

    // Docker's logs, from which OpenWhisk takes its lines, come in pieces of at most that size.
    private const int PieceBytes = 16 * 1024;

    private readonly SafeFileHandle _handle = handle;
    private PooledBuffer? _line; // the beginning of a line whose end has not come
    private bool _closed;

    public void Watch(SafeFileHandle epoll, long number) => Epoll.Watch(epoll, _handle, number, Epoll.Readable | Epoll.EdgeTriggered);

    /// <summary>Whether neither pipe has anything to read, be it bytes or its end.</summary>
    public static bool AreEmpty(OutputStream one, OutputStream other) => OutputPipe.AreEmpty(one._closed ? null : one._handle, other._closed ? null : other._handle);

    /// <summary>
    /// Reads what is there, and not more than <paramref name="most"/>; true when more is left. Without that bound it is what a pipe holds, 64 KiB or
    /// 1 MiB when somebody enlarged it: a writer that is as fast as this reader keeps neither its thread nor the collector's lock.
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

    /// <summary>What has no line end when the activation is over is a line all the same.</summary>
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
            // Nobody will see it, so it is not even cut into lines.
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
