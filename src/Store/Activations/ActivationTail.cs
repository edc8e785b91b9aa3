using System.Diagnostics;
using Frusta.Contracts.Names;
using Frusta.Journal;

namespace Frusta.Store.Activations;

/// <summary>The records that were appended and may not be in an index yet, as entries in memory.</summary>
/// <remarks>
/// A chain of blocks: an append writes one entry and publishes it, a reader walks without a lock, and indexing cuts whole blocks off the front. Entries may
/// be out of the order of the log by as many appends as run at once, so readers compare the positions in the entries. A reader that began before a cut
/// still sees the blocks that were cut off, since it walks on along the same chain.
/// </remarks>
internal sealed class ActivationTail
{
    private const int BlockEntries = 512;

    private readonly Lock _gate = new();
    private volatile Block _first = new();
    private Block _last;
    private int _count;

    public ActivationTail() => _last = _first;

    /// <summary>Entries that were added and not cut off.</summary>
    public int Count => Volatile.Read(ref _count);

    public void Add(in TailEntry entry)
    {
        lock (_gate)
        {
            var block = _last;
            if (block.Published == BlockEntries)
            {
                var next = new Block();
                block.Next = next;
                _last = block = next;
            }

            Debug.Assert(block.Published < BlockEntries && block.Next is null, "The last block has room.");
            block.Entries[block.Published] = entry;
            block.Publish();
            Volatile.Write(ref _count, _count + 1);
        }
    }

    /// <summary>Gives up the full blocks in which every entry stands at or before the position.</summary>
    public void CutUpTo(LogPosition stored)
    {
        var first = _first;
        while (first is { Published: BlockEntries, Next: { } next } && first.IsWithin(stored))
        {
            first = next;
            lock (_gate)
            {
                _first = first;
                Volatile.Write(ref _count, _count - BlockEntries);
                Debug.Assert(_count >= 0, "Only entries that were added are cut off.");
            }
        }
    }

    /// <summary>Adds the entries that match to the list.</summary>
    public void Collect(ActivationQuery query, List<TailEntry> found)
    {
        Block? next;
        for (var block = _first; block is not null; block = next)
        {
            // The successor is read first: a block that has one is full, so no entry is missed between two blocks.
            next = block.Next;
            foreach (ref readonly var entry in block.Entries.AsSpan(0, block.Published))
            {
                if (entry.Kept && entry.StartMs >= (query.SinceMs ?? long.MinValue) && entry.StartMs <= (query.UptoMs ?? long.MaxValue)
                    && string.Equals(entry.Namespace, query.Namespace, StringComparison.Ordinal)
                    && (query.FilterName is null || string.Equals(entry.FilterName, query.FilterName, StringComparison.Ordinal)))
                {
                    found.Add(entry);
                }
            }
        }
    }

    public bool TryFind(ActivationId id, out TailEntry found)
    {
        for (var block = _first; block is not null; block = block.Next)
        {
            foreach (ref readonly var entry in block.Entries.AsSpan(0, block.Published))
            {
                if (entry.Id == id)
                {
                    found = entry;
                    return true;
                }
            }
        }

        found = default;
        return false;
    }

    private sealed class Block
    {
        private volatile Block? _next;
        private int _published;

        public TailEntry[] Entries { get; } = new TailEntry[BlockEntries];

        public int Published => Volatile.Read(ref _published);

        public Block? Next
        {
            get => _next;
            set => _next = value;
        }

        public void Publish() => Volatile.Write(ref _published, _published + 1);

        public bool IsWithin(LogPosition stored)
        {
            foreach (ref readonly var entry in Entries.AsSpan())
            {
                if (entry.Position.IsBehind(stored))
                {
                    return false;
                }
            }

            return true;
        }
    }
}

/// <summary>One appended record: the members that lists compare, and its position in the log.</summary>
internal readonly record struct TailEntry(
    ActivationId Id, string Namespace, string FilterName, long StartMs, LogPosition Position, bool Kept);
