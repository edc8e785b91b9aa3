using System.Collections.Concurrent;

namespace Frusta.Contracts.Limits;

/// <summary>A bound in bytes on the bodies or answers that the server holds for all clients together. No namespace gets more than a share of it.</summary>
/// <remarks>
/// There are two bounds. Small bodies and answers have one of their own, so that large ones never keep them out; when it is full they take from the
/// other. Each number is changed in one step and never passes its bound, so that no lock is shared. A share takes some 100 bytes, and there
/// are at most as many as namespaces with a key.
/// </remarks>
public sealed class ByteBudget
{
    /// <summary>Bytes up to which a body or an answer is small.</summary>
    public const int SmallBytes = 64 * 1024;

    private const int NamespaceFraction = 4;
    private const int KeylessFraction = 10;

    private readonly ConcurrentDictionary<string, ByteShare> _shares = new(StringComparer.Ordinal);
    private readonly ByteBound _small;
    private readonly ByteBound _large;

    public ByteBudget(ByteBudgetOptions options)
    {
        _small = new ByteBound(options.MaxSmallBytes);
        _large = new ByteBound(options.EffectiveMaxBytes);
        WithoutKey = ShareOf(KeylessFraction);
    }

    /// <summary>The share of all callers without a key together: at most a tenth.</summary>
    public ByteShare WithoutKey { get; }

    /// <summary>Bytes that are held now, in both rooms.</summary>
    public long HeldBytes => _small.HeldBytes + _large.HeldBytes;

    /// <summary>The share of one namespace: at most a quarter.</summary>
    public ByteShare Of(string namespaceUuid) =>
        _shares.TryGetValue(namespaceUuid, out var share) ? share : _shares.GetOrAdd(namespaceUuid, ShareOf(NamespaceFraction));

    private ByteShare ShareOf(int fraction) =>
        new(new ByteBound(_small.MaxBytes / fraction, _small), new ByteBound(_large.MaxBytes / fraction, _large));
}

/// <summary>The part of a <see cref="ByteBudget"/> that one namespace has, or all callers without a key.</summary>
public sealed class ByteShare
{
    private readonly ByteBound _small;
    private readonly ByteBound _large;

    internal ByteShare(ByteBound small, ByteBound large)
    {
        _small = small;
        _large = large;
    }

    /// <summary>Bytes that are held now, in both rooms.</summary>
    public long HeldBytes => _small.HeldBytes + _large.HeldBytes;

    /// <summary>Begins a lease, which holds no bytes yet.</summary>
    public ByteLease Begin() => new(this);

    /// <summary>Takes so many bytes from one of the bounds, and gives that bound; null when no bound has room for them.</summary>
    internal ByteBound? Take(long bytes) =>
        bytes <= ByteBudget.SmallBytes && _small.TryTake(bytes) ? _small : _large.TryTake(bytes) ? _large : null;

    /// <summary>True when a lease of so many bytes may stay in this bound; else it has to move to the other.</summary>
    internal bool Belongs(long bytes, ByteBound bound) => bound == _large || bytes <= ByteBudget.SmallBytes;
}

/// <summary>The bytes that one body or one answer holds. Its one owner changes it as bytes come and go, and disposes it.</summary>
public sealed class ByteLease : IDisposable
{
    private readonly ByteShare _share;
    private ByteBound? _bound;
    private long _bytes;

    internal ByteLease(ByteShare share) => _share = share;

    /// <summary>Bytes that it holds.</summary>
    public long Bytes => _bytes;

    /// <summary>Holds so many bytes in all from now on. False when there is no room for more: then nothing has changed. Fewer bytes always succeed.</summary>
    /// <exception cref="ObjectDisposedException">It was given back.</exception>
    public bool TryHold(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ObjectDisposedException.ThrowIf(_bytes < 0, this);
        if (_bound is { } bound && (bytes <= _bytes || (_share.Belongs(bytes, bound) && bound.TryTake(bytes - _bytes))))
        {
            bound.GiveBack(Math.Max(0, _bytes - bytes));
            _bytes = bytes;
            return true;
        }

        // It takes its first bytes, or moves to another bound: it is large now, or its bound is full.
        if (_share.Take(bytes) is not { } taken)
        {
            return false;
        }

        _bound?.GiveBack(_bytes);
        (_bound, _bytes) = (taken, bytes);
        return true;
    }

    /// <summary>Gives all bytes back. Further calls do nothing.</summary>
    public void Dispose()
    {
        var bytes = Interlocked.Exchange(ref _bytes, -1);
        if (bytes > 0)
        {
            _bound!.GiveBack(bytes);
        }
    }
}

/// <summary>A number of bytes that never passes its bound. Its bytes also count in the bound around it, if it has one.</summary>
internal sealed class ByteBound(long maxBytes, ByteBound? around = null)
{
    private long _held;

    public long MaxBytes => maxBytes;

    public long HeldBytes => Volatile.Read(ref _held);

    public bool TryTake(long bytes)
    {
        var held = HeldBytes;
        while (held + bytes <= maxBytes)
        {
            var seen = Interlocked.CompareExchange(ref _held, held + bytes, held);
            if (seen == held)
            {
                return TryTakeAround(bytes);
            }

            held = seen;
        }

        return false;
    }

    public void GiveBack(long bytes)
    {
        if (bytes > 0)
        {
            Interlocked.Add(ref _held, -bytes);
            around?.GiveBack(bytes);
        }
    }

    private bool TryTakeAround(long bytes)
    {
        if (around?.TryTake(bytes) != false)
        {
            return true;
        }

        Interlocked.Add(ref _held, -bytes);
        return false;
    }
}
