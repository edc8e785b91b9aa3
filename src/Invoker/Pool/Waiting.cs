namespace Frusta.Invoker.Pool;

/// <summary>An activation as the pool sees it: its size and its age.</summary>
internal abstract class Waiting
{
    /// <summary>Bytes that it holds while it waits.</summary>
    public abstract int SizeBytes { get; }

    /// <summary>Microseconds of the pool's clock at which it was received.</summary>
    public long ReceivedUs { get; set; }

    /// <summary>The place that is kept for it until it arrives. Guarded by the lock of its <see cref="ActionSlots"/>.</summary>
    public KeptPlace Kept { get; set; }
}

/// <summary>A place that is kept for an activation before it arrives.</summary>
internal enum KeptPlace : byte
{
    None,

    /// <summary>A place in the queue, where the activation is counted already.</summary>
    InQueue,

    /// <summary>An idle sandbox, since the queues are full. If that sandbox is taken when the activation arrives, the activation is queued beyond the bound.</summary>
    InIdleSandbox,
}
