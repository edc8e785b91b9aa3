using Frusta.Contracts.Buffers;

namespace Frusta.Runtimes.Frames;

/// <summary>The bodies that OpenWhisk's image of a language answers with when its process ends in the middle of an exchange.</summary>
/// <param name="OfInit">The body during an init; empty where the process is the image's server itself, so that nothing answers.</param>
/// <param name="OfRun">The body during a run; empty likewise.</param>
public sealed record WordsOfEnd(ReadOnlyMemory<byte> OfInit, ReadOnlyMemory<byte> OfRun)
{
    /// <summary>No body in either case.</summary>
    public static WordsOfEnd None { get; } = new(default, default);

    /// <summary>A body for the receiver to dispose, or null.</summary>
    public PooledBuffer? ToBody(bool initializing)
    {
        var words = initializing ? OfInit : OfRun;
        return words.IsEmpty ? null : PooledBuffer.Copy(words.Span);
    }
}
