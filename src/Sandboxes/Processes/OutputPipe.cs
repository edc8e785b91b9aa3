using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes.Processes;

/// <summary>Reads and writes pipes, above all the non-blocking ends of a sandbox's output. .NET's own reads refuse files that cannot seek.</summary>
public static class OutputPipe
{
    /// <summary>The pipe is empty now; more bytes may come.</summary>
    public const int WouldBlock = -1;

    private const int TryAgain = 11;
    private const int Interrupted = 4;
    private const nuint CountBytes = 0x541b;

    /// <summary>Reads the bytes that are there: their number, 0 at the end, or <see cref="WouldBlock"/>.</summary>
    /// <exception cref="IOException">The pipe cannot be read.</exception>
    public static unsafe int Read(SafeFileHandle pipe, Span<byte> buffer)
    {
        fixed (byte* first = buffer)
        {
            nint length;
            do
            {
                length = Libc.Read(pipe, first, (nuint)buffer.Length);
            }
            while (length < 0 && Marshal.GetLastPInvokeError() == Interrupted);

            return length >= 0 ? (int)length : Marshal.GetLastPInvokeError() == TryAgain ? WouldBlock : throw Libc.Failure("read");
        }
    }

    /// <summary>Number of bytes that can be read now.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    public static unsafe int Count(SafeFileHandle pipe)
    {
        int count;
        return Libc.DeviceControl(pipe, CountBytes, (byte*)&count) == 0 ? count : throw Libc.Failure("ioctl(FIONREAD)");
    }

    /// <summary>True when neither of two pipes has bytes or its end to read. A pipe that is null counts as empty.</summary>
    public static unsafe bool AreEmpty(SafeFileHandle? one, SafeFileHandle? other)
    {
        var held = stackalloc bool[2];
        var polled = stackalloc PolledDescriptor[2];
        try
        {
            polled[0] = Hold(one, ref held[0]);
            polled[1] = Hold(other, ref held[1]);
            return Libc.Poll(polled, 2, 0) == 0;
        }
        finally
        {
            LetGo(one, held[0]);
            LetGo(other, held[1]);
        }
    }

    private static PolledDescriptor Hold(SafeFileHandle? pipe, ref bool held)
    {
        pipe?.DangerousAddRef(ref held);
        return new PolledDescriptor(pipe is null ? -1 : (int)pipe.DangerousGetHandle(), PolledDescriptor.Readable);
    }

    private static void LetGo(SafeFileHandle? pipe, bool held)
    {
        if (held)
        {
            pipe!.DangerousRelease();
        }
    }

    /// <summary>Writes to the other end of a pipe, which has room for it.</summary>
    internal static unsafe void Write(SafeFileHandle pipe, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* first = bytes)
        {
            if (Libc.Write(pipe, first, (nuint)bytes.Length) != bytes.Length)
            {
                throw Libc.Failure("write");
            }
        }
    }
}
