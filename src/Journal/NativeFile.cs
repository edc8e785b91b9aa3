using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Journal;

/// <summary>Calls that the file API of .NET does not have: fdatasync, real allocation, and the sync of a folder.</summary>
internal static partial class NativeFile
{
    private const int NoSpace = 28;
    private const int Interrupted = 4;
    private const int NotSupported = 95;
    private const int InvalidArgument = 22;

    /// <summary>Brings the file's data to the disk, written through a mapping or not.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    internal static void SyncData(SafeFileHandle file)
    {
        if (!OperatingSystem.IsLinux())
        {
            RandomAccess.FlushToDisk(file);
            return;
        }

        if (FDataSync(file) != 0)
        {
            throw new IOException($"fdatasync failed: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    /// <summary>Brings the names in a folder to the disk.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    internal static void SyncFolder(string folder)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        using var handle = OpenFolder(folder, 0);
        if (handle.IsInvalid || FSync(handle) != 0)
        {
            throw new IOException($"fsync of the folder '{folder}' failed: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    /// <summary>
    /// Allocates that many bytes of the disk to the file, so that a write into the mapping never finds the disk full.
    /// </summary>
    /// <remarks>With <paramref name="zero"/> it writes zeros: the first syncs are then as cheap as those of a recycled file.</remarks>
    internal static void Allocate(SafeFileHandle file, long bytes, bool zero)
    {
        if (!zero && OperatingSystem.IsLinux())
        {
            int error;
            do
            {
                error = PosixFallocate(file, 0, bytes);
            }
            while (error == Interrupted);
            switch (error)
            {
                case 0:
                    return;
                case NoSpace:
                    throw new IOException("No space left on device.");
                case NotSupported or InvalidArgument:
                    break;
                default:
                    throw new IOException($"posix_fallocate failed: {Marshal.GetPInvokeErrorMessage(error)}");
            }
        }

        var zeros = new byte[Math.Min(bytes, 1024 * 1024)];
        for (var offset = 0L; offset < bytes; offset += zeros.Length)
        {
            RandomAccess.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, bytes - offset)), offset);
        }
    }

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int FDataSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenFolder(string path, int flags);

    [LibraryImport("libc", EntryPoint = "posix_fallocate")]
    private static partial int PosixFallocate(SafeFileHandle file, long offset, long length);
}
