namespace Frusta.Invoker.Pool;

/// <summary>How many sandboxes and activations there are, and their bytes.</summary>
internal record struct PoolCounts
{
    /// <summary>Actions for which something starts or runs.</summary>
    public int Busy;
    public int Running;
    public long RunningBytes;
    public int Idle;
    public long IdleBytes;
    public int StemCells;
    public long StemCellBytes;
    public int Starting;
    public int Queued;
    public long QueuedBytes;
    public long ReservedBytes;
}
