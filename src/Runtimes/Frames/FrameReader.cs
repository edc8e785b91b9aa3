using System.Diagnostics;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Names;

namespace Frusta.Runtimes.Frames;

/// <summary>How far <see cref="FrameReader.Next"/> came.</summary>
internal enum FrameProgress : byte
{
    NeedsBytes,
    HasFrame,

    /// <summary>See <see cref="FrameReader.Violation"/>. Nothing more can be read.</summary>
    Violated,
}

/// <summary>The rule that received bytes break, so that none of our runners can have sent them.</summary>
internal enum FrameViolation : byte
{
    None,

    /// <summary>Another version of the format.</summary>
    Version,

    /// <summary>A type that is not the runner's to send, or none at all.</summary>
    Type,
    SecondHello,

    /// <summary>An answer before the hello.</summary>
    NoHello,

    /// <summary>An answer while no request waits for one.</summary>
    NotAwaited,

    /// <summary>An answer to another request than the one that waits, or a hello with an id.</summary>
    Id,

    /// <summary>Flags without a meaning.</summary>
    Flags,

    /// <summary>More bytes than the type may have, or too few.</summary>
    Length,
}

/// <summary>Cuts the bytes of a sandbox into frames, and finds frames that none of our runners sends (docs/reference/frames.md).</summary>
/// <remarks>
/// It knows no pipe, thread or clock: the receiver writes into <see cref="Room"/>, says with <see cref="Advance"/> how much, and takes frames with
/// <see cref="Next"/> until that needs more bytes. A header is checked as soon as it is whole, before memory is taken for its payload. That memory
/// grows as bytes come, at most <see cref="BytesAhead"/> ahead of them: a header may announce much at no cost, and must not take much here.
/// </remarks>
/// <param name="maxResultBytes">Bytes of the largest result.</param>
internal sealed class FrameReader(int maxResultBytes) : IDisposable
{
    /// <summary>Bytes of the buffer that frames are received into; a longer frame gets a buffer of its own.</summary>
    public const int BufferBytes = 8 * 1024;

    /// <summary>Bytes of memory that are taken for a long frame before its own bytes come.</summary>
    public const int BytesAhead = 128 * 1024;

    public const int HelloBytes = 1024;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferBytes);
    private int _have;
    private bool _greeted;
    private FrameHeader _longHeader;
    private PooledBuffer? _longPayload;

    /// <summary>The rule that the last frame broke, which ended the reading.</summary>
    public FrameViolation Violation { get; private set; }

    /// <summary>The memory for the next bytes: never empty, and while a long frame is received not longer than <paramref name="most"/>, or 1.</summary>
    public Span<byte> Room(int most)
    {
        Debug.Assert(Violation == FrameViolation.None, "Nothing is received behind a violation.");
        if (_longPayload is not { } payload)
        {
            Debug.Assert(_have < BufferBytes, "A frame that fills the buffer was to be taken first.");
            return _buffer.AsSpan(_have);
        }

        var wanted = Math.Min(Math.Min((int)_longHeader.Length - payload.Length, BytesAhead), Math.Max(most, 1));
        return payload.GetSpan(wanted)[..wanted];
    }

    /// <summary>Takes over this many bytes that were written into <see cref="Room"/>.</summary>
    public void Advance(int count)
    {
        if (_longPayload is null)
        {
            _have += count;
            Debug.Assert(count > 0 && _have <= BufferBytes);
        }
        else
        {
            _longPayload.Advance(count);
            Debug.Assert(count > 0 && _longPayload.Length <= _longHeader.Length);
        }
    }

    /// <summary>The next frame, whose payload is then the caller's to dispose.</summary>
    /// <param name="awaited">The id of the request that waits for an answer; null when none does.</param>
    /// <param name="frame">The frame, where the result is <see cref="FrameProgress.HasFrame"/>.</param>
    public FrameProgress Next(ActivationId? awaited, out Frame frame)
    {
        frame = default;
        if (_longPayload is not null)
        {
            return TryTakeLong(out frame) ? FrameProgress.HasFrame : FrameProgress.NeedsBytes;
        }

        if (Violation != FrameViolation.None)
        {
            return FrameProgress.Violated;
        }

        if (_have < FrameHeader.Size)
        {
            return FrameProgress.NeedsBytes;
        }

        var header = FrameHeader.Read(_buffer);
        Violation = Check(header, awaited);
        if (Violation != FrameViolation.None)
        {
            return FrameProgress.Violated;
        }

        var size = FrameHeader.Size + (int)header.Length;
        if (_have < size)
        {
            if (size > BufferBytes)
            {
                BeginLong(header);
            }

            return FrameProgress.NeedsBytes;
        }

        frame = new Frame(header, PooledBuffer.Copy(_buffer.AsSpan(FrameHeader.Size, (int)header.Length)));
        _buffer.AsSpan(size, _have - size).CopyTo(_buffer);
        _have -= size;
        _greeted = true; // the frame was the hello, or came after it
        return FrameProgress.HasFrame;
    }

    /// <summary>Gives back the memory of a frame whose rest does not come.</summary>
    public void Dispose()
    {
        _longPayload?.Dispose();
        _longPayload = null;
    }

    private void BeginLong(FrameHeader header)
    {
        Debug.Assert(_have < FrameHeader.Size + header.Length, "A whole frame is taken, not begun.");
        _longHeader = header;
        _longPayload = PooledBuffer.Rent(Math.Min((int)header.Length, BytesAhead));
        _longPayload.Write(_buffer.AsSpan(FrameHeader.Size, _have - FrameHeader.Size));
        _have = 0;
    }

    private bool TryTakeLong(out Frame frame)
    {
        frame = default;
        if (_longPayload!.Length < _longHeader.Length)
        {
            return false;
        }

        frame = new Frame(_longHeader, _longPayload);
        _longPayload = null;
        return true;
    }

    private FrameViolation Check(FrameHeader header, ActivationId? awaited)
    {
        if (header.Version != FrameHeader.CurrentVersion)
        {
            return FrameViolation.Version;
        }

        return header.Type switch
        {
            FrameType.Hello => CheckHello(header),
            FrameType.Result => CheckAnswer(header, awaited, least: 0, maxResultBytes),
            FrameType.Truncated => CheckAnswer(header, awaited, FrameHeader.TruncatedPrefix + 1, FrameHeader.TruncatedPrefix + (long)maxResultBytes),
            _ => FrameViolation.Type,
        };
    }

    private FrameViolation CheckHello(FrameHeader header)
    {
        if (_greeted)
        {
            return FrameViolation.SecondHello;
        }

        return header.Flags != 0 ? FrameViolation.Flags
            : header.Id != default ? FrameViolation.Id
            : header.Length > HelloBytes ? FrameViolation.Length
            : FrameViolation.None;
    }

    private FrameViolation CheckAnswer(FrameHeader header, ActivationId? awaited, int least, long most)
    {
        if (!_greeted)
        {
            return FrameViolation.NoHello;
        }

        return awaited is not { } id ? FrameViolation.NotAwaited
            : header.Id != id ? FrameViolation.Id
            : header.Flags > FrameHeader.NotOk ? FrameViolation.Flags
            : header.Length < least || header.Length > most ? FrameViolation.Length
            : FrameViolation.None;
    }
}
