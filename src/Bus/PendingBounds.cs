using System.Collections.Concurrent;
using System.Diagnostics;

namespace Frusta.Bus;

/// <summary>Counts pending activations and their bytes, in all and in each namespace, and refuses one that would pass a bound.</summary>
internal sealed class PendingBounds(BusOptions options)
{
    /// <summary>Namespaces without pending activations are forgotten when more than this many are known.</summary>
    private const int KnownNamespaces = 4096;

    private readonly ConcurrentDictionary<string, Share> _shares = new(StringComparer.Ordinal);
    private readonly long _shareItems = Math.Max((long)options.MaxPendingItems * options.NamespaceSharePercent / 100, 1);
    private readonly long _shareBytes = options.MaxPendingBytes * options.NamespaceSharePercent / 100;
    private long _items;
    private long _bytes;

    internal long Items => Interlocked.Read(ref _items);

    internal long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Counts activations in, or says which bound is reached. With <paramref name="force"/>, for those accepted before a restart, no bound holds.</summary>
    internal SendOutcome Enter(string namespaceUuid, int items, long bytes, bool force = false)
    {
        if ((Interlocked.Add(ref _items, items) > options.MaxPendingItems
            | Interlocked.Add(ref _bytes, bytes) > options.MaxPendingBytes) && !force)
        {
            Interlocked.Add(ref _items, -items);
            Interlocked.Add(ref _bytes, -bytes);
            return SendOutcome.Full;
        }

        while (true)
        {
            var share = _shares.GetOrAdd(namespaceUuid, static _ => new Share());
            lock (share)
            {
                if (share.IsForgotten)
                {
                    continue;
                }

                if (force || (share.Items + items <= _shareItems && share.Bytes + bytes <= _shareBytes))
                {
                    share.Items += items;
                    share.Bytes += bytes;
                    break;
                }
            }

            Interlocked.Add(ref _items, -items);
            Interlocked.Add(ref _bytes, -bytes);
            return SendOutcome.NamespaceFull;
        }

        return SendOutcome.Sent;
    }

    internal void Leave(string namespaceUuid, int items, long bytes)
    {
        var isKnown = _shares.TryGetValue(namespaceUuid, out var share);
        Debug.Assert(isKnown, "A namespace with pending activations is not forgotten.");
        if (share is not null)
        {
            lock (share)
            {
                share.Items -= items;
                share.Bytes -= bytes;
                Debug.Assert(share is { Items: >= 0, Bytes: >= 0, IsForgotten: false } && (share.Items > 0 || share.Bytes == 0), "A namespace gives back what it took, once.");
                if (share.Items == 0 && _shares.Count > KnownNamespaces)
                {
                    share.IsForgotten = true;
                    _shares.TryRemove(namespaceUuid, out _);
                }
            }
        }

        var (itemsLeft, bytesLeft) = (Interlocked.Add(ref _items, -items), Interlocked.Add(ref _bytes, -bytes));
        Debug.Assert(itemsLeft >= 0 && bytesLeft >= 0, "An activation that leaves was counted when it entered.");
    }

    private sealed class Share
    {
        internal long Items { get; set; }

        internal long Bytes { get; set; }

        internal bool IsForgotten { get; set; }
    }
}
