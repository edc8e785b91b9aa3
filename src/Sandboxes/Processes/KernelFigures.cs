using System.Buffers.Text;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>What the kernel of this host holds for itself. It is read often, so that nothing is allocated and no file is opened for it.</summary>
internal sealed class KernelFigures : IDisposable
{
    private readonly SafeFileHandle _memory = File.OpenHandle("/proc/meminfo");
    private readonly SafeFileHandle _sockets = File.OpenHandle("/proc/net/sockstat");
    private readonly SafeFileHandle _zones = File.OpenHandle("/proc/zoneinfo");
    private byte[] _text = new byte[16 * 1024];

    /// <summary>
    /// Bytes in objects that the kernel cannot drop, bytes that wait in sockets by TCP and UDP, and bytes in pages for which the kernel has
    /// no name, without those of the sockets and those that each core keeps at hand. Not for two threads at once.
    /// </summary>
    internal (long Objects, long InSockets, long Unnamed) Read()
    {
        var memory = Read(_memory);
        var objects = Kilobytes(memory, "SUnreclaim:"u8) << 10;
        var unnamed = Unnamed(memory) << 10;
        var sockets = Read(_sockets);
        var inSockets = (NumberAfter(sockets, "TCP:"u8, " mem "u8) + NumberAfter(sockets, "UDP:"u8, " mem "u8)) * Environment.SystemPageSize;
        return (objects, inSockets, unnamed - inSockets - AtHand(Read(_zones)));
    }

    /// <summary>Kilobytes that are neither free nor said to be for anything. The names are looked for in the order of the file: SwapCached comes behind Cached.</summary>
    internal static long Unnamed(ReadOnlySpan<byte> memory) =>
        Kilobytes(memory, "MemTotal:"u8) - Kilobytes(memory, "MemFree:"u8) - Kilobytes(memory, "Buffers:"u8) - Kilobytes(memory, "Cached:"u8) - Kilobytes(memory, "SwapCached:"u8)
        - Kilobytes(memory, "AnonPages:"u8) - Kilobytes(memory, "Slab:"u8) - Kilobytes(memory, "KernelStack:"u8) - Kilobytes(memory, "PageTables:"u8)
        - Kilobytes(memory, "SecPageTables:"u8) - Kilobytes(memory, "Percpu:"u8) - Kilobytes(memory, "Hugetlb:"u8);

    /// <summary>Bytes in free pages that a core keeps for itself, which may be a gigabyte: the kernel does not count them as free.</summary>
    internal static long AtHand(ReadOnlySpan<byte> zones)
    {
        var pages = 0L;
        while (zones.IndexOf("count:"u8) is var at && at >= 0)
        {
            zones = zones[(at + "count:"u8.Length)..];
            pages += Utf8Parser.TryParse(zones.TrimStart((byte)' '), out long count, out _) ? count : 0;
        }

        return pages * Environment.SystemPageSize;
    }

    public void Dispose()
    {
        _zones.Dispose();
        _memory.Dispose();
        _sockets.Dispose();
    }

    /// <summary>All of a file. That of the zones is the longer the more cores there are.</summary>
    private ReadOnlySpan<byte> Read(SafeFileHandle file)
    {
        for (var length = 0; ;)
        {
            var more = RandomAccess.Read(file, _text.AsSpan(length), length);
            if (more == 0)
            {
                return _text.AsSpan(0, length);
            }

            length += more;
            if (length == _text.Length)
            {
                Array.Resize(ref _text, 2 * length);
            }
        }
    }

    private static long Kilobytes(ReadOnlySpan<byte> memory, ReadOnlySpan<byte> name) => NumberAfter(memory, name, ""u8);

    /// <summary>The number behind a word in the line that begins with a name; 0 when it is not there.</summary>
    private static long NumberAfter(ReadOnlySpan<byte> text, ReadOnlySpan<byte> name, ReadOnlySpan<byte> word)
    {
        var line = text.IndexOf(name);
        if (line < 0)
        {
            return 0;
        }

        text = text[(line + name.Length)..];
        var at = text.IndexOf(word);
        return at >= 0 && Utf8Parser.TryParse(text[(at + word.Length)..].TrimStart((byte)' '), out long number, out _) ? number : 0;
    }
}
