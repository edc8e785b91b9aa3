using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>
/// The activations that wait for a sandbox of one action, in order, counted for their namespace and in the ledger. Guarded by the lock of its
/// <see cref="ActionSlots"/>.
/// </summary>
internal sealed class ActionQueue(NamespaceUse use, RoomRules rules, RoomLedger ledger, StartRule rule)
{
    private readonly Queue<Waiting> _items = new();
    private int _keptInQueue;
    private int _keptInIdleSandboxes;

    public int Count => _items.Count;

    /// <summary>When the first activation was received, in microseconds of the pool's clock; <see cref="long.MaxValue"/> when none waits.</summary>
    public long HeadReceivedUs => _items.TryPeek(out var head) ? head.ReceivedUs : long.MaxValue;

    /// <summary>True while a place is kept for an activation that has not arrived.</summary>
    public bool KeepsPlaces => _keptInQueue + _keptInIdleSandboxes > 0;

    /// <summary>
    /// Keeps a place for an activation that will arrive: in the queue, or when that is full one of the <paramref name="idle"/> idle sandboxes, if
    /// no activation waits for them. Else says which bound is reached.
    /// </summary>
    public Arrival Keep(Waiting item, int idle)
    {
        var counted = TryCount(item);
        if (counted == Arrival.Queued)
        {
            item.Kept = KeptPlace.InQueue;
            _keptInQueue++;
        }
        else if (_items.Count == 0 && _keptInIdleSandboxes < idle)
        {
            counted = Arrival.Queued;
            item.Kept = KeptPlace.InIdleSandbox;
            _keptInIdleSandboxes++;
        }

        return counted;
    }

    /// <summary>Gives back the place that is kept for the activation, if one is.</summary>
    public void GiveBack(Waiting item)
    {
        if (TakeKept(item) == KeptPlace.InQueue)
        {
            Discount(item);
        }
    }

    /// <summary>Takes the activation in, unless a bound is reached. An activation for which a place is kept is never refused.</summary>
    public Arrival Enqueue(Waiting item, long nowUs)
    {
        switch (TakeKept(item))
        {
            case KeptPlace.InIdleSandbox:
                use.Queue(item.SizeBytes);
                ledger.Queue(item.SizeBytes);
                break;
            case KeptPlace.None when TryCount(item) is var counted and not Arrival.Queued:
                return counted;
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
        Discount(item);
        if (_items.Count == 0)
        {
            rule.QueueEmptyUntil(nowUs);
        }

        return item;
    }

    /// <summary>Refuses the activations that have waited for too long.</summary>
    public void Expire(long nowUs, List<PoolAction> actions)
    {
        while (nowUs - HeadReceivedUs > rules.MaxWaitUs)
        {
            actions.Add(new PoolAction(PoolActionKind.RefuseTooOld, null, Dequeue(nowUs)));
        }
    }

    /// <summary>Refuses all activations, since no sandbox can be started.</summary>
    public void RefuseAll(long nowUs, List<PoolAction> actions)
    {
        while (_items.Count > 0)
        {
            actions.Add(new PoolAction(PoolActionKind.RefuseNoSandbox, null, Dequeue(nowUs)));
        }
    }

    private Arrival TryCount(Waiting item)
    {
        if (_items.Count + _keptInQueue >= rules.MaxQueuedPerAction || !use.TryQueue(item.SizeBytes, rules))
        {
            return Arrival.NamespaceFull;
        }

        if (!ledger.TryQueue(item.SizeBytes))
        {
            use.Dequeue(item.SizeBytes);
            return Arrival.Full;
        }

        return Arrival.Queued;
    }

    private void Discount(Waiting item)
    {
        use.Dequeue(item.SizeBytes);
        ledger.Dequeue(item.SizeBytes);
    }

    private KeptPlace TakeKept(Waiting item)
    {
        var kept = item.Kept;
        item.Kept = KeptPlace.None;
        _keptInQueue -= kept == KeptPlace.InQueue ? 1 : 0;
        _keptInIdleSandboxes -= kept == KeptPlace.InIdleSandbox ? 1 : 0;
        Debug.Assert(_keptInQueue >= 0 && _keptInIdleSandboxes >= 0, "More places were taken than kept.");
        return kept;
    }
}
