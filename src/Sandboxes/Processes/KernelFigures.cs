using System.Buffers.Text;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>The memory that the kernel of this host holds for itself. It is read often, so a read usually allocates nothing and opens no file.</summary>
internal sealed class KernelFigures : IDisposable
{
    private const int MostTries = 5;
    private const long AsGoodAsStill = 2 << 20;

    private readonly SafeFileHandle _memory = File.OpenHandle("/proc/meminfo");
    private readonly SafeFileHandle _sockets = File.OpenHandle("/proc/net/sockstat");
    private readonly SafeFileHandle _zones = File.OpenHandle("/proc/zoneinfo");
    private readonly SafeFileHandle? _charged;
    private readonly byte[] _chargedWord = [];
    private byte[] _text = new byte[16 * 1024];

    /// <param name="charged">
    /// File, and the word in it before the number, with the bytes that the kernel holds for sandboxes and charges to them; null where these are not
    /// counted.
    /// </param>
    internal KernelFigures((string File, string Word)? charged = null)
    {
        if (charged is { } file && File.Exists(file.File))
        {
            _charged = File.OpenHandle(file.File);
            _chargedWord = Encoding.UTF8.GetBytes(file.Word);
        }
    }

    /// <summary>
    /// Bytes in objects that the kernel cannot drop; bytes that wait in sockets by TCP and UDP; bytes that the kernel holds and charges to no sandbox, without
    /// those in sockets; and bytes of anonymous memory. To be called by one thread at a time.
    /// </summary>
    internal (long Objects, long InSockets, long Uncharged, long Anonymous) Read()
    {
        // The figures are read one after the other. Memory that moves from one to another meanwhile would be counted twice or not at all.
        for (var tries = 1; ; tries++)
        {
            var (inSockets, charged) = (InSockets(), Charged());
            var memory = Read(_memory);
            var objects = Kilobytes(memory, "SUnreclaim:"u8) << 10;
            var (kernel, anonymous) = (Kernel(memory) << 10, Kilobytes(memory, "AnonPages:"u8) << 10);
            var atHand = AtHand(Read(_zones));
            var (inSocketsNow, chargedNow) = (InSockets(), Charged());
            if (tries == MostTries || (Math.Abs(inSocketsNow - inSockets) < AsGoodAsStill && Math.Abs(chargedNow - charged) < AsGoodAsStill))
            {
                return (objects, inSocketsNow, kernel - atHand - Math.Max(inSockets, inSocketsNow) - Math.Max(charged, chargedNow), anonymous);
            }
        }
    }

    /// <summary>Kilobytes that are neither free nor a program's or a file's. The first line that fits a name counts: Cached stands before SwapCached.</summary>
    internal static long Kernel(ReadOnlySpan<byte> memory) =>
        Kilobytes(memory, "MemTotal:"u8) - Kilobytes(memory, "MemFree:"u8) - Kilobytes(memory, "Buffers:"u8) - Kilobytes(memory, "Cached:"u8) - Kilobytes(memory, "SwapCached:"u8)
        - Kilobytes(memory, "AnonPages:"u8) - Kilobytes(memory, "Hugetlb:"u8);

    /// <summary>The part of <see cref="Kernel"/> that the file lists under no name of its own, in kilobytes.</summary>
    internal static long Unnamed(ReadOnlySpan<byte> memory) =>
        Kernel(memory) - Kilobytes(memory, "Slab:"u8) - Kilobytes(memory, "KernelStack:"u8) - Kilobytes(memory, "PageTables:"u8) - Kilobytes(memory, "SecPageTables:"u8)
        - Kilobytes(memory, "Percpu:"u8);

    /// <summary>Bytes in free pages that cores keep for themselves, which may be a gigabyte: the kernel does not count them as free.</summary>
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
        _charged?.Dispose();
        _memory.Dispose();
        _sockets.Dispose();
    }

    private long InSockets()
    {
        var sockets = Read(_sockets);
        return (NumberAfter(sockets, "TCP:"u8, " mem "u8) + NumberAfter(sockets, "UDP:"u8, " mem "u8)) * Environment.SystemPageSize;
    }

    private long Charged() => _charged is null ? 0 : NumberAfter(Read(_charged), _chargedWord, ""u8);

    /// <summary>Reads a whole file. The buffer grows where needed: the more cores there are, the longer is the file of the zones.</summary>
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
