using System.Buffers.Binary;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Names;

namespace Frusta.Runtimes.Frames;

/// <summary>The types of frames; their numbers are on the wire (docs/reference/frames.md).</summary>
internal enum FrameType : byte
{
    /// <summary>The runner's first frame, once: its family and version.</summary>
    Hello = 1,
    Init = 2,
    Run = 3,
    Result = 4,

    /// <summary>A result over the limit: its length in 8 bytes, then its beginning.</summary>
    Truncated = 5,
    Prime = 6,
}

/// <summary>The 24 bytes before each payload.</summary>
/// <param name="Length">Bytes of the payload.</param>
/// <param name="Version">Version of the format.</param>
/// <param name="Type">The type of the frame.</param>
/// <param name="Flags">
/// Of a result: 1 where an HTTP runtime would answer with another status than 200. The byte behind the flags, which is 0, is read with them.
/// </param>
/// <param name="Id">The activation.</param>
internal readonly record struct FrameHeader(uint Length, byte Version, FrameType Type, ushort Flags, ActivationId Id)
{
    public const int Size = 24;
    public const byte CurrentVersion = 1;
    public const ushort NotOk = 1;

    /// <summary>Bytes before the text of a truncated result.</summary>
    public const int TruncatedPrefix = 8;

    public static FrameHeader Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        bytes[4],
        (FrameType)bytes[5],
        BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]),
        ActivationId.FromBytes(bytes[8..]));

    public static void Write(Span<byte> destination, FrameType type, ActivationId id, int length)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, (uint)length);
        destination[4] = CurrentVersion;
        destination[5] = (byte)type;
        destination[6] = 0;
        destination[7] = 0;
        id.WriteBytes(destination[8..]);
    }
}

/// <summary>A whole frame that one of our runners may send.</summary>
/// <param name="Header">Its header.</param>
/// <param name="Payload">As many bytes as the header says. The receiver disposes it.</param>
internal readonly record struct Frame(FrameHeader Header, PooledBuffer Payload)
{
    /// <summary>The answer in a result or a truncated result. It takes over the payload, or disposes it.</summary>
    public RuntimeAnswer ToAnswer() => Header.Type == FrameType.Truncated
        ? TooLarge()
        : new RuntimeAnswer(RuntimeAnswerKind.Answered, (Header.Flags & FrameHeader.NotOk) == 0, Payload, Payload.Length);

    private RuntimeAnswer TooLarge()
    {
        var announced = BinaryPrimitives.ReadInt64LittleEndian(Payload.Span);
        var beginning = PooledBuffer.Copy(Payload.Span[FrameHeader.TruncatedPrefix..]);
        Payload.Dispose();
        return new RuntimeAnswer(RuntimeAnswerKind.TooLarge, Ok: true, beginning, Math.Max(announced, beginning.Length));
    }
}
