using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Frusta.Sandboxes.Bubblewrap;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>The filter of each architecture, run as the kernel runs it: also of those that no test can be played on here.</summary>
public sealed class SystemCallFilterTests
{
    private const uint Allowed = 0x7fff0000;
    private const uint Killed = 0x80000000;
    private const uint Error = 0x00050000;

    [Theory]
    [InlineData("read", 0, 63, new uint[] { 0 }, Allowed)]
    [InlineData("mount", 165, 40, new uint[] { 0 }, Error | 1)]
    [InlineData("vmsplice", 278, 75, new uint[] { 0 }, Error | 1)]
    [InlineData("tee", 276, 77, new uint[] { 0 }, Error | 1)]
    [InlineData("splice", 275, 76, new uint[] { 0 }, Error | 22)]
    [InlineData("sendfile from an offset", 40, 71, new uint[] { 4, 3, 0x7000, 10 }, Allowed)]
    [InlineData("sendfile from where the file stands", 40, 71, new uint[] { 4, 3, 0, 10 }, Error | 22)]
    [InlineData("ppoll", 271, 73, new uint[] { 0x7000, 256 }, Allowed)]
    [InlineData("ppoll of many", 271, 73, new uint[] { 0x7000, 257 }, Error | 22)]
    [InlineData("pselect6", 270, 72, new uint[] { 256 }, Allowed)]
    [InlineData("pselect6 of many", 270, 72, new uint[] { 257 }, Error | 22)]
    [InlineData("getsockopt TCP_INFO", 55, 209, new uint[] { 3, 6, 11 }, Allowed)]
    [InlineData("getsockopt TCP_ZEROCOPY_RECEIVE", 55, 209, new uint[] { 3, 6, 35 }, Error | 92)]
    [InlineData("getsockopt of a socket, by the same number", 55, 209, new uint[] { 3, 1, 35 }, Allowed)]
    [InlineData("clone3", 435, 435, new uint[] { 0 }, Error | 38)]
    [InlineData("io_setup", 206, 0, new uint[] { 1 }, Error | 38)]
    [InlineData("seccomp", 317, 277, new uint[] { 1 }, Error | 38)]
    [InlineData("mbind", 237, 235, new uint[] { 0 }, Error | 1)]
    [InlineData("clone of a thread", 56, 220, new uint[] { 0x003d0f00 }, Allowed)]
    [InlineData("clone of a process", 56, 220, new uint[] { 0x01200011 }, Allowed)]
    [InlineData("clone of a process that waits", 56, 220, new uint[] { 0x4111 }, Allowed)]
    [InlineData("clone of a process with the same open files", 56, 220, new uint[] { 0x411 }, Error | 1)]
    [InlineData("clone of a user namespace", 56, 220, new uint[] { 0x10000011 }, Error | 1)]
    [InlineData("ioctl TIOCSTI", 16, 29, new uint[] { 0, 0x5412 }, Error | 1)]
    [InlineData("ioctl TIOCGWINSZ", 16, 29, new uint[] { 0, 0x5413 }, Allowed)]
    [InlineData("fcntl F_SETLK", 72, 25, new uint[] { 3, 6 }, Allowed)]
    [InlineData("fcntl F_OFD_SETLKW", 72, 25, new uint[] { 3, 38 }, Error | 22)]
    [InlineData("fcntl F_SETLEASE", 72, 25, new uint[] { 3, 1024 }, Error | 22)]
    [InlineData("prctl PR_SET_NAME", 157, 167, new uint[] { 15 }, Allowed)]
    [InlineData("prctl PR_SET_SECCOMP", 157, 167, new uint[] { 22, 2 }, Error | 22)]
    [InlineData("socket unix", 41, 198, new uint[] { 1, 1, 0 }, Allowed)]
    [InlineData("socket TCP", 41, 198, new uint[] { 2, 0x80801, 6 }, Allowed)]
    [InlineData("socket UDP of IPv6", 41, 198, new uint[] { 10, 2, 17 }, Allowed)]
    [InlineData("socket ICMP", 41, 198, new uint[] { 2, 2, 1 }, Error | 93)]
    [InlineData("socket raw", 41, 198, new uint[] { 2, 0x80003, 0 }, Error | 1)]
    [InlineData("socket netlink", 41, 198, new uint[] { 16, 3, 0 }, Error | 97)]
    [InlineData("setsockopt SO_REUSEADDR", 54, 208, new uint[] { 3, 1, 2 }, Allowed)]
    [InlineData("setsockopt SO_RCVBUF", 54, 208, new uint[] { 3, 1, 8 }, Error)]
    [InlineData("setsockopt SO_SNDBUFFORCE", 54, 208, new uint[] { 3, 1, 32 }, Error)]
    [InlineData("setsockopt SO_ATTACH_FILTER", 54, 208, new uint[] { 3, 1, 26 }, Error | 92)]
    [InlineData("setsockopt SO_TIMESTAMP", 54, 208, new uint[] { 3, 1, 29 }, Allowed)]
    [InlineData("setsockopt SO_TIMESTAMPING", 54, 208, new uint[] { 3, 1, 37 }, Error | 92)]
    [InlineData("setsockopt SO_TIMESTAMPING of 64 bits", 54, 208, new uint[] { 3, 1, 65 }, Error | 92)]
    [InlineData("setsockopt IP_RECVERR", 54, 208, new uint[] { 3, 0, 11 }, Error)]
    [InlineData("setsockopt IPV6_RECVERR", 54, 208, new uint[] { 3, 41, 25 }, Error)]
    [InlineData("setsockopt UDP_CORK", 54, 208, new uint[] { 3, 17, 1 }, Error | 92)]
    [InlineData("setsockopt IP_TTL", 54, 208, new uint[] { 3, 0, 2 }, Allowed)]
    [InlineData("setsockopt IP_ADD_MEMBERSHIP", 54, 208, new uint[] { 3, 0, 35 }, Error | 19)]
    [InlineData("setsockopt TCP_NODELAY", 54, 208, new uint[] { 3, 6, 1 }, Allowed)]
    [InlineData("setsockopt TCP_ULP", 54, 208, new uint[] { 3, 6, 31 }, Error | 92)]
    [InlineData("setsockopt IPV6_V6ONLY", 54, 208, new uint[] { 3, 41, 26 }, Allowed)]
    [InlineData("setsockopt IPV6_ADD_MEMBERSHIP", 54, 208, new uint[] { 3, 41, 20 }, Error | 92)]
    [InlineData("setsockopt UDP_SEGMENT", 54, 208, new uint[] { 3, 17, 103 }, Allowed)]
    [InlineData("setsockopt of MPTCP", 54, 208, new uint[] { 3, 284, 1 }, Error | 92)]
    [InlineData("sendto", 44, 206, new uint[] { 3, 0, 1, 0x4000 }, Allowed)]
    [InlineData("sendto with MSG_MORE", 44, 206, new uint[] { 3, 0, 1, 0xc000 }, Error | 95)]
    [InlineData("sendmsg", 46, 211, new uint[] { 3, 0, 0x4040 }, Allowed)]
    [InlineData("sendmsg with MSG_MORE", 46, 211, new uint[] { 3, 0, 0x8000 }, Error | 95)]
    [InlineData("sendmmsg with MSG_MORE", 307, 269, new uint[] { 3, 0, 1, 0x8000 }, Error | 95)]
    [InlineData("mmap", 9, 222, new uint[] { 0, 4096, 3, 0x22 }, Allowed)]
    [InlineData("mmap of huge pages", 9, 222, new uint[] { 0, 4096, 3, 0x40022 }, Error | 22)]
    [InlineData("memfd_create", 319, 279, new uint[] { 0, 1 }, Allowed)]
    [InlineData("memfd_create of huge pages", 319, 279, new uint[] { 0, 5 }, Error | 22)]
    [InlineData("shmget", 29, 194, new uint[] { 0, 4096, 0x380 }, Allowed)]
    [InlineData("shmget of huge pages", 29, 194, new uint[] { 0, 4096, 0xb80 }, Error | 22)]
    public void A_call_has_the_same_answer_on_each_architecture(string what, int x64, int arm64, uint[] arguments, uint answer)
    {
        Assert.Equal((what, answer), (what, Run(Architecture.X64, 0xc000003e, (uint)x64, arguments)));
        Assert.Equal((what, answer), (what, Run(Architecture.Arm64, 0xc00000b7, (uint)arm64, arguments)));
    }

    [Fact]
    public void Calls_of_another_abi_end_the_process()
    {
        Assert.Equal(Killed, Run(Architecture.X64, 0x40000003, 1, []));
        Assert.Equal(Killed, Run(Architecture.X64, 0xc000003e, 0x40000000 | 1, []));
        Assert.Equal(Killed, Run(Architecture.Arm64, 0x40000028, 1, []));
    }

    /// <summary>The kernel's machine for classic BPF, as far as the filter goes: an accumulator, and jumps forward.</summary>
    private static uint Run(Architecture architecture, uint abi, uint number, uint[] arguments)
    {
        var data = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(data, number);
        BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(4), abi);
        for (var i = 0; i < arguments.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(16 + (8 * i)), arguments[i]);
        }

        var program = SystemCallFilter.Build(architecture)!;
        var loaded = 0u;
        for (var at = 0; ; at++)
        {
            var instruction = program.AsSpan(at * 8, 8);
            var value = BinaryPrimitives.ReadUInt32LittleEndian(instruction[4..]);
            switch (BinaryPrimitives.ReadUInt16LittleEndian(instruction))
            {
                case 0x20:
                    loaded = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan((int)value));
                    break;
                case 0x54:
                    loaded &= value;
                    break;
                case 0x15:
                    at += loaded == value ? instruction[2] : instruction[3];
                    break;
                case 0x35:
                    at += loaded >= value ? instruction[2] : instruction[3];
                    break;
                case 0x45:
                    at += (loaded & value) != 0 ? instruction[2] : instruction[3];
                    break;
                case 0x06:
                    return value;
                default:
                    throw new InvalidDataException("An instruction that the filter does not use.");
            }
        }
    }
}
