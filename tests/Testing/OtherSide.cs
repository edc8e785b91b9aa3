using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Testing;

/// <summary>Two pipes: the ends that the platform has of them, and, as what a sandbox has, the other ends with all that can be done to them.</summary>
public sealed unsafe partial class OtherSide : IDisposable
{
    public const int GrowOrShrink = 1031;
    public const int SetFlags = 4;
    public const int NonBlocking = 0x800;
    public const int Packets = 0x4000;

    private const int CloseOnExec = 0x80000;

    private readonly SafeFileHandle _requests;
    private readonly SafeFileHandle _answers;

    public OtherSide()
    {
        var ends = stackalloc int[4];
        Assert.Equal(0, pipe2(ends, CloseOnExec));
        Assert.Equal(0, pipe2(ends + 2, CloseOnExec));
        (_requests, Requests) = (new SafeFileHandle(ends[0], true), new SafeFileHandle(ends[1], true));
        (Answers, _answers) = (new SafeFileHandle(ends[2], true), new SafeFileHandle(ends[3], true));
        Assert.Equal(0, fcntl(Requests, SetFlags, NonBlocking));
        Assert.Equal(0, fcntl(Answers, SetFlags, NonBlocking));
    }

    /// <summary>The platform's end of what this side reads, non-blocking.</summary>
    public SafeFileHandle Requests { get; }

    /// <summary>The platform's end of what this side writes, non-blocking.</summary>
    public SafeFileHandle Answers { get; }

    /// <summary>Writes all; waits for room.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            fixed (byte* first = bytes)
            {
                var count = write(_answers, first, bytes.Length);
                Assert.True(count > 0, Marshal.GetLastPInvokeErrorMessage());
                bytes = bytes[(int)count..];
            }
        }
    }

    /// <summary>Reads up to a number of bytes; waits for the first.</summary>
    public int Read(int most)
    {
        LastRead = new byte[most];
        fixed (byte* first = LastRead)
        {
            return (int)read(_requests, first, most);
        }
    }

    public byte[] LastRead { get; private set; } = [];

    /// <summary>Does something to the end that is read (or else to the one that is written), as any of its holders may.</summary>
    public void Control(bool read, int command, nint argument) =>
        Assert.True(fcntl(read ? _requests : _answers, command, argument) >= 0, Marshal.GetLastPInvokeErrorMessage());

    public void CloseRead() => _requests.Dispose();

    public void CloseWrite() => _answers.Dispose();

    public void Dispose()
    {
        CloseRead();
        CloseWrite();
        Requests.Dispose();
        Answers.Dispose();
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int pipe2(int* ends, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeFileHandle pipe, int command, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle pipe, byte* buffer, nint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle pipe, byte* bytes, nint length);
}
