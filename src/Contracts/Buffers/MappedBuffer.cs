using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Frusta.Contracts.Buffers;

/// <summary>A buffer of reserved addresses. Only bytes that were written take memory, and the memory leaves the process as soon as the buffer is disposed.</summary>
/// <remarks>
/// For large and short-lived content, such as a body of 50 MB: in an array it would stay with the collector or in a pool long after it was needed,
/// and would be copied each time that it grows. One owner writes it and must dispose it in every case, since the collector does not know these bytes.
/// </remarks>
public sealed unsafe partial class MappedBuffer : MemoryManager<byte>
{
    private const int ReadAndWrite = 0x1 | 0x2;
    private const int PrivateUnreserved = 0x2 | 0x20 | 0x4000;
    private const int NoHugePages = 15;

    private readonly int _capacity;
    private nint _first;
    private int _length;

    private MappedBuffer(nint first, int capacity)
    {
        _first = first;
        _capacity = capacity;
    }

    /// <summary>Number of bytes written.</summary>
    public int Length => _length;

    /// <summary>The bytes that were written.</summary>
    public override Memory<byte> Memory => CreateMemory(_length);

    /// <summary>Reserves addresses for so many bytes; memory is taken as they are written.</summary>
    /// <exception cref="HostMemoryException">The host has no more addresses.</exception>
    public static MappedBuffer Reserve(int capacity)
    {
        var first = mmap(null, (nuint)capacity, ReadAndWrite, PrivateUnreserved, -1, 0);
        if (first == (void*)-1)
        {
            throw new HostMemoryException($"The host has no addresses for {capacity} bytes.");
        }

        _ = madvise(first, (nuint)capacity, NoHugePages); // otherwise a few bytes would take 2 MiB
        return new MappedBuffer((nint)first, capacity);
    }

    /// <summary>Appends bytes.</summary>
    /// <exception cref="ArgumentException">There are more than were reserved.</exception>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Whole()[_length..]);
        _length += bytes.Length;
    }

    /// <summary>Counts so many more bytes as written, and gives them to be filled.</summary>
    /// <exception cref="ArgumentException">There are more than were reserved.</exception>
    public Span<byte> Extend(int count)
    {
        var added = Whole().Slice(_length, count);
        _length += count;
        return added;
    }

    public override Span<byte> GetSpan() => Whole()[.._length];

    public override MemoryHandle Pin(int elementIndex = 0) => new((byte*)Unsafe.AsPointer(ref Whole()[elementIndex]), pinnable: this);

    public override void Unpin()
    {
    }

    /// <summary>Gives the memory back. Further calls do nothing.</summary>
    public void Dispose() => Dispose(disposing: true);

    protected override void Dispose(bool disposing)
    {
        var first = Interlocked.Exchange(ref _first, 0);
        if (first != 0)
        {
            _ = munmap((void*)first, (nuint)_capacity);
        }
    }

    private Span<byte> Whole()
    {
        ObjectDisposedException.ThrowIf(_first == 0, this);
        return new Span<byte>((void*)_first, _capacity);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);
}
