using System.Buffers;

namespace Frusta.Contracts.Buffers;

/// <summary>Bytes in a rented array with a count of holders: each holder disposes it once, and the last one gives the array back.</summary>
/// <remarks>It is a buffer writer while it is filled; once it is handed on it is not written any more.</remarks>
public sealed class PooledBuffer : IBufferWriter<byte>, IDisposable
{
    // Larger arrays are seldom needed, and the pool of an idle server would keep them for good.
    private const int MostPooledBytes = 1 << 20;

    private byte[] _bytes;
    private int _length;
    private int _holders = 1;

    private PooledBuffer(int capacity) => _bytes = Take(Math.Max(capacity, 256));

    /// <summary>Rents a buffer for at least <paramref name="capacity"/> bytes, held once by the caller.</summary>
    public static PooledBuffer Rent(int capacity = 1024) => new(capacity);

    /// <summary>Rents a buffer that holds a copy of the bytes.</summary>
    public static PooledBuffer Copy(ReadOnlySpan<byte> bytes)
    {
        var buffer = new PooledBuffer(bytes.Length);
        buffer.Write(bytes);
        return buffer;
    }

    /// <summary>Number of bytes written.</summary>
    public int Length => _length;

    public ReadOnlySpan<byte> Span => _bytes.AsSpan(0, _length);

    public ReadOnlyMemory<byte> Memory => _bytes.AsMemory(0, _length);

    /// <summary>The written bytes, to be patched in place (a length that is known only afterwards).</summary>
    public Span<byte> WrittenSpan => _bytes.AsSpan(0, _length);

    public void Write(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        _length += bytes.Length;
    }

    /// <summary>Drops the bytes behind the first <paramref name="length"/>.</summary>
    public void Truncate(int length) => _length = Math.Min(length, _length);

    public void Advance(int count) => _length += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Ensure(sizeHint);
        return _bytes.AsMemory(_length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Ensure(sizeHint);
        return _bytes.AsSpan(_length);
    }

    /// <summary>Adds a holder.</summary>
    public PooledBuffer Retain()
    {
        Interlocked.Increment(ref _holders);
        return this;
    }

    /// <summary>Removes a holder; the last one gives the array back. Each holder calls it exactly once.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            var bytes = Interlocked.Exchange(ref _bytes, []);
            _length = 0;
            GiveBack(bytes);
        }
    }

    private static byte[] Take(int capacity) =>
        capacity > MostPooledBytes ? GC.AllocateUninitializedArray<byte>(capacity) : ArrayPool<byte>.Shared.Rent(capacity);

    private static void GiveBack(byte[] bytes)
    {
        if (bytes.Length <= MostPooledBytes)
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private void Ensure(int sizeHint)
    {
        var wanted = _length + Math.Max(sizeHint, 1);
        if (wanted <= _bytes.Length)
        {
            return;
        }

        var larger = Take(Math.Max(wanted, (int)Math.Min(_bytes.Length * 2L, Array.MaxLength)));
        _bytes.AsSpan(0, _length).CopyTo(larger);
        GiveBack(_bytes);
        _bytes = larger;
    }
}
