using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Numerics;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Journal;

/// <summary>One file of a log: 64 bytes of header, then entries. Written through a mapping, read through its descriptor.</summary>
/// <remarks>
/// Readers never touch the mapping: a read of a closed descriptor throws an exception, a read of a mapping that is gone
/// would end the process. Not thread-safe: the log's lock guards the writing side.
/// </remarks>
internal sealed unsafe class LogSegment : IDisposable
{
    internal const int HeaderBytes = 64;

    /// <summary>The room that must stay free at the end of a segment for its seal.</summary>
    internal const int SealBytes = EntryFormat.HeaderBytes;

    private const ulong Magic = 0x31_47_4f_4c_54_53_52_46; // "FRSTLOG1"
    private const int SealedAtOffset = 32;

    private MemoryMappedFile? _mapping;
    private MemoryMappedViewAccessor? _view;
    private byte* _base;
    private bool _isReleased;

    private LogSegment(string path, SafeFileHandle file, int size)
    {
        Path = path;
        File = file;
        Size = size;
    }

    internal string Path { get; private set; }

    internal SafeFileHandle File { get; }

    internal int Size { get; }

    internal SegmentIdentity Identity { get; private set; }

    internal long Number => Identity.Number;

    /// <summary>Byte behind the last published entry, where the next one will begin.</summary>
    internal int End { get; set; } = HeaderBytes;

    internal bool IsSealed { get; set; }

    /// <summary>True once the log has given up its entries; its file may already be another segment's.</summary>
    internal bool IsReleased
    {
        get => Volatile.Read(ref _isReleased);
        set => Volatile.Write(ref _isReleased, value);
    }

    /// <summary>Byte up to which the segment is known to be on disk; at least <see cref="HeaderBytes"/> only when all segments before it are.</summary>
    internal int SyncedTo { get; set; }

    /// <summary>Makes a file with all its bytes allocated on the disk.</summary>
    internal static LogSegment Create(string path, int size, bool zero)
    {
        var file = System.IO.File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        var segment = new LogSegment(path, file, size);
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                System.IO.File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            NativeFile.Allocate(file, size, zero);
            segment.Map();
            return segment;
        }
        catch
        {
            segment.Dispose();
            System.IO.File.Delete(path);
            throw;
        }
    }

    /// <summary>Opens a file that an earlier process left; null when its header never reached the disk.</summary>
    internal static LogSegment? TryOpen(string path, long number)
    {
        var file = System.IO.File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        Span<byte> header = stackalloc byte[HeaderBytes];
        var length = RandomAccess.GetLength(file);
        if (RandomAccess.Read(file, header, 0) == HeaderBytes
            && BinaryPrimitives.ReadUInt64LittleEndian(header) == Magic
            && BinaryPrimitives.ReadInt64LittleEndian(header[8..]) == number
            && BinaryPrimitives.ReadUInt32LittleEndian(header[28..]) == HeaderCheck(header))
        {
            var size = (int)Math.Min(BinaryPrimitives.ReadInt32LittleEndian(header[24..]), length);
            return new LogSegment(path, file, size)
            {
                Identity = new SegmentIdentity(number, BinaryPrimitives.ReadUInt64LittleEndian(header[16..])),
            };
        }

        file.Dispose();
        return null;
    }

    /// <summary>Gives the file a number, a fresh salt and its final name: from now on it is part of the log.</summary>
    internal void Begin(long number, string path)
    {
        Debug.Assert(_base != null && !IsReleased, "A file becomes part of a log while it is mapped.");
        Identity = new SegmentIdentity(number, BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(8)));
        End = HeaderBytes;
        SyncedTo = 0;
        IsSealed = false;
        var header = new Span<byte>(_base, HeaderBytes);
        header.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(header, Magic);
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], number);
        BinaryPrimitives.WriteUInt64LittleEndian(header[16..], Identity.Salt);
        BinaryPrimitives.WriteInt32LittleEndian(header[24..], Size);
        BinaryPrimitives.WriteUInt32LittleEndian(header[28..], HeaderCheck(header));
        System.IO.File.Move(Path, path);
        Path = path;
    }

    /// <summary>Takes over the file of a released segment in a new object, so that a reader of the old one accepts none of the new entries.</summary>
    internal LogSegment Reuse(string path)
    {
        System.IO.File.Move(Path, path, overwrite: true);
        var next = new LogSegment(path, File, Size) { _mapping = _mapping, _view = _view, _base = _base };
        _mapping = null;
        _view = null;
        _base = null;
        if (next._base == null)
        {
            next.Map();
        }

        return next;
    }

    internal bool Fits(long totalBytes) => End + totalBytes + SealBytes <= Size;

    /// <summary>Copies one entry in. The header is written last, so that a process that dies in between leaves no header.</summary>
    internal LogPosition Write(byte type, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body, uint payloadCrc)
    {
        var start = End;
        var length = head.Length + body.Length;
        var total = (int)EntryFormat.TotalBytes(length);
        Debug.Assert(_base != null && !IsSealed && !IsReleased, "Only the active segment is written.");
        Debug.Assert(start % 8 == 0 && start + total <= Size - (type == EntryFormat.Seal ? 0 : SealBytes), "An entry begins at a multiple of 8 and leaves room for the seal.");
        var entry = new Span<byte>(_base + start, total);
        head.CopyTo(entry[EntryFormat.HeaderBytes..]);
        body.CopyTo(entry[(EntryFormat.HeaderBytes + head.Length)..]);
        EntryFormat.WriteHeader(entry, new EntryHeader(length, payloadCrc, SyncedTo, type), Identity, start);
        End = start + total;
        return new LogPosition(Number, start + EntryFormat.HeaderBytes, length);
    }

    /// <summary>Ends the segment. Its header says where, so that a later start need not read all of it.</summary>
    internal void Seal()
    {
        var at = End;
        Write(EntryFormat.Seal, [], [], 0);
        BinaryPrimitives.WriteInt32LittleEndian(new Span<byte>(_base + SealedAtOffset, 4), at);
        IsSealed = true;
    }

    /// <summary>Finds the end and, in the seal, up to where the segment was synced before; false when no seal stands where the header says.</summary>
    internal bool TryFindSeal(out int end, out int syncedTo)
    {
        Span<byte> bytes = stackalloc byte[EntryFormat.HeaderBytes];
        end = 0;
        syncedTo = 0;
        if (RandomAccess.Read(File, bytes[..4], SealedAtOffset) != 4)
        {
            return false;
        }

        var at = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        if (at < HeaderBytes || at > Size - SealBytes || RandomAccess.Read(File, bytes, at) != bytes.Length
            || !EntryFormat.TryReadHeader(bytes, Identity, at, out var header) || header.Type != EntryFormat.Seal)
        {
            return false;
        }

        end = at + SealBytes;
        syncedTo = header.SyncedTo;
        return true;
    }

    internal void Map()
    {
        _mapping = MemoryMappedFile.CreateFromFile(File, null, Size, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        _view = _mapping.CreateViewAccessor(0, Size);
        byte* pointer = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        _base = pointer;
    }

    /// <summary>Gives the address space back, once nothing is written any more.</summary>
    internal void Unmap()
    {
        if (_base != null)
        {
            _base = null;
            _view!.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _mapping!.Dispose();
        }
    }

    public void Dispose()
    {
        Unmap();
        File.Dispose();
    }

    private static uint HeaderCheck(ReadOnlySpan<byte> header) => ~EntryFormat.Crc(BitOperations.Crc32C(~0u, Magic), header[..28]);
}
