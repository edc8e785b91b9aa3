using System.Buffers.Text;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>What the kernel of this host holds for itself. It is read often, so that nothing is allocated and no file is opened for it.</summary>
internal sealed class KernelFigures : IDisposable
{
    private readonly SafeFileHandle _memory = File.OpenHandle("/proc/meminfo");
    private readonly SafeFileHandle _sockets = File.OpenHandle("/proc/net/sockstat");
    private readonly byte[] _text = new byte[8192];

    /// <summary>Bytes in objects that the kernel cannot drop, and bytes that wait in sockets by TCP and UDP. Not for two threads at once.</summary>
    internal (long Objects, long InSockets) Read()
    {
        var objects = NumberAfter(Read(_memory), "SUnreclaim:"u8, ""u8) << 10;
        var sockets = Read(_sockets);
        return (objects, (NumberAfter(sockets, "TCP:"u8, " mem "u8) + NumberAfter(sockets, "UDP:"u8, " mem "u8)) * Environment.SystemPageSize);
    }

    public void Dispose()
    {
        _memory.Dispose();
        _sockets.Dispose();
    }

    private ReadOnlySpan<byte> Read(SafeFileHandle file) => _text.AsSpan(0, RandomAccess.Read(file, _text, 0));

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
