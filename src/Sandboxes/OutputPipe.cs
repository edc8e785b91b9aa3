using System.Runtime.InteropServices;
using Frusta.Sandboxes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Frusta.Sandboxes;

/// <summary>Reads and writes pipes: the non-blocking end of a sandbox's output above all. .NET's own reads refuse what cannot seek.</summary>
public static class OutputPipe
{
    /// <summary>There is nothing now; more may come.</summary>
    public const int WouldBlock = -1;

    private const int TryAgain = 11;
    private const int Interrupted = 4;

    /// <summary>Reads what is there: the number of bytes, 0 at the end, or <see cref="WouldBlock"/>.</summary>
    /// <exception cref="IOException">The pipe is broken in another way.</exception>
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
