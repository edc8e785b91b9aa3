using Frusta.Contracts.Buffers;

namespace Frusta.Contracts.Tests.Buffers;

public sealed class MappedBufferTests
{
    [Fact]
    public void It_holds_what_was_written_and_refuses_more_than_was_reserved()
    {
        using var buffer = MappedBuffer.Reserve(10);
        buffer.Write("hello "u8);
        buffer.Write("you"u8);
        Assert.True(buffer.Memory.Span.SequenceEqual("hello you"u8));
        Assert.Throws<ArgumentException>(() => buffer.Write("too much"u8));
        Assert.Equal(9, buffer.Length);
    }

    [Fact]
    public void What_was_given_back_is_not_read_again()
    {
        var buffer = MappedBuffer.Reserve(10);
        buffer.Write("hello"u8);
        var memory = buffer.Memory;
        buffer.Dispose();
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => memory.Span.Length);
        Assert.Throws<ObjectDisposedException>(() => buffer.Write("x"u8));
    }

    [Fact]
    public void Only_what_was_written_takes_memory_and_all_of_it_leaves_at_once()
    {
        const int Mebibyte = 1 << 20;
        var before = ResidentBytes();
        var buffers = Enumerable.Range(0, 100).Select(_ => MappedBuffer.Reserve(50 * Mebibyte)).ToList();
        buffers.ForEach(buffer => buffer.Write(new byte[100]));
        Assert.InRange(ResidentBytes() - before, long.MinValue, 32 * Mebibyte);
        var part = new byte[Mebibyte];
        for (var i = 0; i < 49; i++)
        {
            buffers[0].Write(part);
        }

        Assert.InRange(ResidentBytes() - before, 40 * Mebibyte, 96 * Mebibyte);
        buffers.ForEach(buffer => buffer.Dispose());
        Assert.InRange(ResidentBytes() - before, long.MinValue, 32 * Mebibyte);
    }

    private static long ResidentBytes() => long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture) * Environment.SystemPageSize;
}
