namespace Frusta.Invoker.Pool;

/// <summary>What waits for a sandbox of one action, in order, counted in its namespace's share and in the ledger. Guarded by the lock of its <see cref="ActionSlots"/>.</summary>
internal sealed class ActionQueue(NamespaceShare share, RoomRules rules, RoomLedger ledger, StartRule rule)
{
    private readonly Queue<Waiting> _items = new();

    public int Count => _items.Count;

    /// <summary>When the first was received; <see cref="long.MaxValue"/> when nothing waits.</summary>
    public long HeadReceivedUs => _items.TryPeek(out var head) ? head.ReceivedUs : long.MaxValue;

    /// <summary>Takes the activation in, unless a bound is reached.</summary>
    public Arrival Enqueue(Waiting item, long nowUs)
    {
        if (_items.Count >= rules.MaxQueuedPerAction || !share.TryQueue(item.SizeBytes, rules))
        {
            return Arrival.NamespaceFull;
        }

        if (!ledger.TryQueue(item.SizeBytes))
        {
            share.Dequeue(item.SizeBytes);
            return Arrival.Full;
        }

        if (_items.Count == 0)
        {
            rule.QueueEmptyUntil(nowUs);
        }

        _items.Enqueue(item);
        return Arrival.Queued;
    }

    public Waiting Dequeue(long nowUs)
    {
        var item = _items.Dequeue();
        share.Dequeue(item.SizeBytes);
        ledger.Dequeue(item.SizeBytes);
        if (_items.Count == 0)
        {
            rule.QueueEmptyUntil(nowUs);
        }

        return item;
    }

    /// <summary>Refuses what has waited for too long.</summary>
    public void Expire(long nowUs, List<PoolAction> actions)
    {
        while (nowUs - HeadReceivedUs > rules.MaxWaitUs)
        {
            actions.Add(new PoolAction(PoolActionKind.RefuseTooOld, null, Dequeue(nowUs)));
        }
    }

    /// <summary>Refuses all, since no sandbox can be started.</summary>
    public void RefuseAll(long nowUs, List<PoolAction> actions)
    {
        while (_items.Count > 0)
        {
            actions.Add(new PoolAction(PoolActionKind.RefuseNoSandbox, null, Dequeue(nowUs)));
        }
    }
}
