using System.Buffers;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Limits;

namespace Frusta.Controller.Api;

/// <summary>The bytes of one request's body, as they come. They are counted in the budget for bodies as long as they are held.</summary>
public sealed class BodyBytes : IDisposable
{
    private readonly ByteLease _lease;
    private PooledBuffer? _small;
    private MappedBuffer? _large;

    internal BodyBytes(ByteShare share) => _lease = share.Begin();

    /// <summary>Number of bytes that came.</summary>
    public int Length { get; private set; }

    /// <summary>The bytes that came; not to be used after the disposal.</summary>
    public ReadOnlyMemory<byte> Memory => _large?.Memory ?? _small?.Memory ?? default;

    /// <summary>Gives the bytes and their room back. Further calls do nothing.</summary>
    public void Dispose()
    {
        LetGo();
        _lease.Dispose();
    }

    /// <summary>Adds bytes. False when there is no room for them; then nothing has changed.</summary>
    /// <param name="arrived">The bytes.</param>
    /// <param name="mostBytes">Bytes that the whole body has at most.</param>
    /// <exception cref="HostMemoryException">The host has no more memory.</exception>
    internal bool TryAdd(in ReadOnlySequence<byte> arrived, int mostBytes)
    {
        var length = Length + (int)arrived.Length;
        if (!_lease.TryHold(length))
        {
            return false;
        }

        if (length > ByteBudget.SmallBytes && _large is null)
        {
            _large = MappedBuffer.Reserve(mostBytes);
            var small = Interlocked.Exchange(ref _small, null);
            _large.Write(small is null ? [] : small.Span);
            small?.Dispose();
        }
        else if (_large is null)
        {
            _small ??= PooledBuffer.Rent(length);
        }

        foreach (var part in arrived)
        {
            _small?.Write(part.Span);
            _large?.Write(part.Span);
        }

        Length = length;
        return true;
    }

    /// <summary>Gives the bytes back, but keeps room for so many, for the objects that were made of them.</summary>
    internal void Keep(long bytes)
    {
        LetGo();
        _lease.TryHold(Math.Min(bytes, _lease.Bytes));
    }

    private void LetGo()
    {
        Interlocked.Exchange(ref _small, null)?.Dispose();
        Interlocked.Exchange(ref _large, null)?.Dispose();
    }
}
