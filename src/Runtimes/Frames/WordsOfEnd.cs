using Frusta.Contracts.Buffers;

namespace Frusta.Runtimes.Frames;

/// <summary>What OpenWhisk's image of a language answers when its process ends in the middle of an exchange, as the body of a failed answer.</summary>
/// <param name="OfInit">During an init; empty where the process is the image's server itself, so that nothing is answered.</param>
/// <param name="OfRun">During a run; empty likewise.</param>
public sealed record WordsOfEnd(ReadOnlyMemory<byte> OfInit, ReadOnlyMemory<byte> OfRun)
{
    /// <summary>Nothing is answered.</summary>
    public static WordsOfEnd None { get; } = new(default, default);

    /// <summary>A body for the receiver to dispose, or null.</summary>
    public PooledBuffer? ToBody(bool initializing)
    {
        var words = initializing ? OfInit : OfRun;
        return words.IsEmpty ? null : PooledBuffer.Copy(words.Span);
    }
}
