using System.Buffers.Binary;
using System.Security.Cryptography;
using Frusta.Contracts.Names;
using Frusta.Runtimes.Frames;

namespace Frusta.Runtimes.Tests.Frames;

public sealed class FrameReaderTests
{
    private const int Seeds = 200;
    private const int MaxResultBytes = 300_000;
    private const int BytesATurn = 64 * 1024;

    private const byte Hello = 1;
    private const byte Run = 3;
    private const byte Result = 4;
    private const byte Truncated = 5;

    private static readonly ActivationId Awaited = new(1, 2);

    /// <summary>Each violation with the frame that shows it, sent after a hello unless it is about that.</summary>
    private static readonly (FrameViolation Violation, byte[] Frame, bool Greeted)[] Violations =
    [
        (FrameViolation.Version, Frame(Result, Awaited, [], version: 0), true),
        (FrameViolation.Version, Frame(Result, Awaited, [], version: 2), true),
        (FrameViolation.Version, Frame(Hello, default, [], version: 2), false),
        (FrameViolation.Type, Frame(0, Awaited, []), true),
        (FrameViolation.Type, Frame(Run, Awaited, []), true),
        (FrameViolation.Type, Frame(255, Awaited, []), false),
        (FrameViolation.SecondHello, Frame(Hello, default, []), true),
        (FrameViolation.NoHello, Frame(Result, Awaited, []), false),
        (FrameViolation.NoHello, Frame(Truncated, Awaited, new byte[9]), false),
        (FrameViolation.Id, Frame(Result, new ActivationId(1, 3), []), true),
        (FrameViolation.Id, Frame(Truncated, default, new byte[9]), true),
        (FrameViolation.Id, Frame(Hello, Awaited, []), false),
        (FrameViolation.Flags, Frame(Result, Awaited, [], flags: 2), true),
        (FrameViolation.Flags, Frame(Truncated, Awaited, new byte[9], flags: 0x100), true),
        (FrameViolation.Flags, Frame(Hello, default, [], flags: 1), false),
        (FrameViolation.Length, Frame(Result, Awaited, [], length: MaxResultBytes + 1), true),
        (FrameViolation.Length, Frame(Result, Awaited, [], length: uint.MaxValue), true),
        (FrameViolation.Length, Frame(Truncated, Awaited, new byte[8]), true),
        (FrameViolation.Length, Frame(Truncated, Awaited, [], length: MaxResultBytes + 9), true),
        (FrameViolation.Length, Frame(Hello, default, [], length: 1025), false),
    ];

    public static TheoryData<int> EachViolation() => [.. Enumerable.Range(0, Violations.Length)];

    [Theory]
    [MemberData(nameof(EachViolation))]
    public void A_violation_is_found_in_the_header(int number)
    {
        var (violation, frame, greeted) = Violations[number];
        using var reader = new FrameReader(MaxResultBytes);
        byte[] bytes = [.. greeted ? Frame(Hello, default, "{}"u8) : [], .. frame.AsSpan(0, FrameHeader.Size)];

        Assert.Equal(FrameProgress.Violated, ReadAll(reader, bytes, random: null, _ => Awaited).Progress);
        Assert.Equal(violation, reader.Violation);
        Assert.Equal(FrameProgress.Violated, reader.Next(Awaited, out _));
    }

    [Fact]
    public void An_answer_that_nobody_waits_for_is_a_violation()
    {
        using var reader = new FrameReader(MaxResultBytes);

        var (progress, frames) = ReadAll(reader, [.. Frame(Hello, default, "{}"u8), .. Frame(Result, Awaited, "{}"u8)], random: null, static _ => null);

        Assert.Equal((FrameProgress.Violated, FrameViolation.NotAwaited, 1), (progress, reader.Violation, frames.Count));
    }

    /// <summary>Else a new one would go unproven.</summary>
    [Fact]
    public void Every_violation_has_its_example() => Assert.Equal(
        Enum.GetValues<FrameViolation>().Except([FrameViolation.None, FrameViolation.NotAwaited]),
        Violations.Select(static example => example.Violation).Distinct().Order());

    [Fact]
    public void Frames_are_the_same_however_their_bytes_are_cut()
    {
        for (var seed = 0; seed < Seeds; seed++)
        {
            var random = new Random(seed);
            var sent = Conversation(random);
            using var reader = new FrameReader(MaxResultBytes);

            var (progress, frames) = ReadAll(reader, [.. sent.SelectMany(static one => one.Bytes)], random, number => number < sent.Count ? sent[number].Id : null);

            Assert.True(progress == FrameProgress.NeedsBytes, $"Seed {seed}: {reader.Violation}");
            Assert.True(frames.SequenceEqual(sent.Select(static one => Convert.ToHexString(SHA256.HashData(one.Bytes))), StringComparer.Ordinal), $"Seed {seed}");
        }
    }

    /// <summary>Of the memory that a buffer grows through the last piece is at most twice as long as what came, and all before it as long as that.</summary>
    [Fact]
    public void Random_bytes_never_throw_and_take_no_more_memory_than_comes()
    {
        for (var seed = 0; seed < Seeds; seed++)
        {
            var random = new Random(seed);
            var bytes = Spoilt(random);
            using var reader = new FrameReader(MaxResultBytes);
            var before = GC.GetAllocatedBytesForCurrentThread();

            ReadAll(reader, bytes, random, static _ => Awaited, keep: false);

            var taken = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(taken <= 4 * ((long)bytes.Length + FrameReader.BytesAhead), $"Seed {seed}: {taken} bytes for {bytes.Length}");
        }
    }

    [Fact]
    public void A_header_that_announces_much_takes_little_memory()
    {
        using var reader = new FrameReader(maxResultBytes: int.MaxValue - 1024);
        var before = GC.GetAllocatedBytesForCurrentThread();

        ReadAll(reader, [.. Frame(Hello, default, "{}"u8), .. Frame(Result, Awaited, "{}"u8, length: int.MaxValue - 2048)], random: null, static _ => Awaited, keep: false);

        Assert.InRange(reader.Room(int.MaxValue).Length, 1, FrameReader.BytesAhead);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 * FrameReader.BytesAhead);
    }

    /// <summary>A hello and the answers to some requests, as a runner of ours sends them. The id is that of the request.</summary>
    private static List<(ActivationId? Id, byte[] Bytes)> Conversation(Random random)
    {
        List<(ActivationId?, byte[])> frames = [(null, Frame(Hello, default, Body(random, FrameReader.HelloBytes)))];
        for (var answers = random.Next(1, 12); answers > 0; answers--)
        {
            var id = new ActivationId((ulong)random.NextInt64(), (ulong)random.NextInt64());
            var longest = random.Next(4) switch { 0 => MaxResultBytes, 1 => FrameReader.BufferBytes + 8, _ => 100 };
            frames.Add((id, random.Next(5) == 0
                ? Frame(Truncated, id, [.. new byte[8], .. Body(random, longest), 1])
                : Frame(Result, id, Body(random, longest), (ushort)random.Next(2))));
        }

        return frames;
    }

    /// <summary>Bytes of a conversation of which some are others, or mere noise.</summary>
    private static byte[] Spoilt(Random random)
    {
        if (random.Next(8) == 0)
        {
            return Body(random, 20_000);
        }

        byte[] bytes = [.. Conversation(random).SelectMany(static one => one.Bytes)];
        for (var changes = random.Next(0, 4); changes > 0; changes--)
        {
            bytes[random.Next(Math.Min(bytes.Length, 2000))] = (byte)random.Next(256);
        }

        return bytes;
    }

    private static byte[] Body(Random random, int longest)
    {
        var body = new byte[random.Next(longest)];
        random.NextBytes(body);
        return body;
    }

    /// <summary>Gives the reader the bytes in random pieces, or as many at a time as it takes, until it needs none or finds a violation.</summary>
    /// <returns>How it ended, and a digest of each frame.</returns>
    private static (FrameProgress Progress, List<string> Frames) ReadAll(
        FrameReader reader, ReadOnlySpan<byte> bytes, Random? random, Func<int, ActivationId?> awaited, bool keep = true)
    {
        var frames = new List<string>();
        var count = 0;
        while (true)
        {
            FrameProgress progress;
            while ((progress = reader.Next(awaited(count), out var frame)) == FrameProgress.HasFrame)
            {
                count++;
                if (keep)
                {
                    frames.Add(Digest(frame));
                }

                frame.Payload.Dispose();
            }

            if (progress == FrameProgress.Violated || bytes.IsEmpty)
            {
                return (progress, frames);
            }

            var room = reader.Room(BytesATurn);
            Assert.InRange(room.Length, 1, FrameReader.BytesAhead);
            var most = Math.Min(room.Length, bytes.Length);
            var piece = random is null ? most : random.Next(3) == 0 ? 1 : random.Next(1, most + 1);
            bytes[..piece].CopyTo(room);
            reader.Advance(piece);
            bytes = bytes[piece..];
        }
    }

    private static string Digest(Frame frame) => Convert.ToHexString(SHA256.HashData(
        Frame((byte)frame.Header.Type, frame.Header.Id, frame.Payload.Span, frame.Header.Flags, frame.Header.Version, frame.Header.Length)));

    private static byte[] Frame(byte type, ActivationId id, ReadOnlySpan<byte> payload, ushort flags = 0, byte version = 1, uint? length = null)
    {
        var frame = new byte[FrameHeader.Size + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, length ?? (uint)payload.Length);
        (frame[4], frame[5]) = (version, type);
        BinaryPrimitives.WriteUInt16LittleEndian(frame.AsSpan(6), flags);
        id.WriteBytes(frame.AsSpan(8));
        payload.CopyTo(frame.AsSpan(FrameHeader.Size));
        return frame;
    }
}
