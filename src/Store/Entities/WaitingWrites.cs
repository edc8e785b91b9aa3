using System.Diagnostics;
using System.Threading.Channels;

namespace Frusta.Store.Entities;

/// <summary>
/// The writes that wait for the one writer. Small writes have room and turns of their own, so that large ones neither keep them out nor hold them up.
/// </summary>
/// <param name="options">The bounds.</param>
internal sealed class WaitingWrites(EntityStoreOptions options)
{
    /// <summary>Bytes up to which a write is small: some hundreds of small writes take as long as one action with its code.</summary>
    private const long SmallBytes = 64 * 1024;

    private readonly Channel<EntityWrite> _arrived = Channel.CreateBounded<EntityWrite>(new BoundedChannelOptions(2 * options.QueuedWrites) { SingleReader = true });
    private readonly Queue<EntityWrite> _small = [];
    private readonly Queue<EntityWrite> _large = [];
    private long _largeBytes;
    private int _largeCount;
    private int _smallCount;
    private bool _largeIsNext;

    /// <summary>Adds a write to those that wait.</summary>
    /// <exception cref="StoreOverloadedException">There is no room for it, by number or by bytes.</exception>
    public void Add(EntityWrite write)
    {
        var isLarge = IsLarge(write);
        var count = isLarge ? Interlocked.Increment(ref _largeCount) : Interlocked.Increment(ref _smallCount);
        var bytes = isLarge ? Interlocked.Add(ref _largeBytes, write.SizeBytes) : 0;
        if (count > options.QueuedWrites || bytes > options.QueuedBytes || !_arrived.Writer.TryWrite(write))
        {
            Written(write);
            throw new StoreOverloadedException(
                $"The entity store has {count - 1} writes of {bytes - (isLarge ? write.SizeBytes : 0)} bytes waiting (at most {options.QueuedWrites} and {options.QueuedBytes} bytes).");
        }
    }

    /// <summary>A piece of a large write is written; the write goes on in its next turn, after the other large ones.</summary>
    public void GoOn(EntityWrite write) => _large.Enqueue(write);

    /// <summary>The write has succeeded or failed: its room is free. Until this call, a write under way counts like one that waits.</summary>
    public void Written(EntityWrite write)
    {
        if (!IsLarge(write))
        {
            var small = Interlocked.Decrement(ref _smallCount);
            Debug.Assert(small >= 0, "A write is over once.");
            return;
        }

        var (count, bytes) = (Interlocked.Decrement(ref _largeCount), Interlocked.Add(ref _largeBytes, -write.SizeBytes));
        Debug.Assert(count >= 0 && bytes >= 0, "A write is over once.");
    }

    /// <summary>Waits for the next writes to be committed together: either the small ones that have gathered, or one large one, in turns. False at the end.</summary>
    public async ValueTask<bool> NextAsync(List<EntityWrite> group)
    {
        if (_small.Count + _large.Count == 0 && !await _arrived.Reader.WaitToReadAsync())
        {
            return false;
        }

        while (_arrived.Reader.TryRead(out var write))
        {
            (IsLarge(write) ? _large : _small).Enqueue(write);
        }

        if (_large.Count > 0 && (_largeIsNext || _small.Count == 0))
        {
            group.Add(_large.Dequeue());
            _largeIsNext = false;
            return true;
        }

        while (group.Count < options.GroupSize && _small.TryDequeue(out var write))
        {
            group.Add(write);
        }

        _largeIsNext = true;
        return true;
    }

    /// <summary>No write is added from here on.</summary>
    public void Complete() => _arrived.Writer.TryComplete();

    private static bool IsLarge(EntityWrite write) => write.SizeBytes > SmallBytes;
}
