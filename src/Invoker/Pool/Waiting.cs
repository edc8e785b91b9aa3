namespace Frusta.Invoker.Pool;

/// <summary>An activation as the pool sees it: its size and its age.</summary>
internal abstract class Waiting
{
    /// <summary>Bytes that it holds while it waits.</summary>
    public abstract int SizeBytes { get; }

    /// <summary>Microseconds of the pool's clock at which it was received.</summary>
    public long ReceivedUs { get; set; }
}
