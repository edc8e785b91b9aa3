using System.Diagnostics;

namespace Frusta.Invoker.Pool;

/// <summary>How much one namespace has in the queues, and how much of the room it has and has had.</summary>
internal sealed class NamespaceUse(string uuid)
{
    private long _queuedBytes;
    private int _queued;

    public string Uuid { get; } = uuid;

    /// <summary>Limits of all its sandboxes, in bytes. Guarded by the room's lock, as the next two.</summary>
    public long SandboxBytes { get; set; }

    /// <summary>Memory times time that its activations have held, in bytes times microseconds: the namespace that has had least is served first.</summary>
    public double Used { get; set; }

    /// <summary>Actions of this namespace that the pool knows.</summary>
    public int Actions { get; set; }

    public int Queued => Volatile.Read(ref _queued);

    public bool TryQueue(int bytes, RoomRules rules)
    {
        var items = Interlocked.Increment(ref _queued);
        var size = Interlocked.Add(ref _queuedBytes, bytes);
        if (items <= rules.MaxQueuedPerNamespace && size <= rules.MaxQueuedBytesPerNamespace)
        {
            return true;
        }

        Dequeue(bytes);
        return false;
    }

    /// <summary>Counts an activation of so many bytes, even beyond the bounds.</summary>
    public void Queue(int bytes)
    {
        Interlocked.Increment(ref _queued);
        Interlocked.Add(ref _queuedBytes, bytes);
    }

    public void Dequeue(int bytes)
    {
        var items = Interlocked.Decrement(ref _queued);
        var size = Interlocked.Add(ref _queuedBytes, -bytes);
        Debug.Assert(items >= 0 && size >= 0, "More of a namespace has left the queues than came.");
    }
}
