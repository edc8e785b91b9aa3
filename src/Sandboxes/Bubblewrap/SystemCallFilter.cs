using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>The seccomp program of every sandbox: a deny list, as bytes of classic BPF.</summary>
/// <remarks>
/// A refused call gets EPERM, so that a library takes its other way. Some calls get the answer of a kernel that does not have them: clone3, whose
/// flags lie behind a pointer that a filter cannot follow, so that the C library uses clone; and calls that would have the kernel hold memory
/// that no cgroup counts (docs/reference/security-model.md). A call of another ABI ends the process, because its number means another call.
/// </remarks>
internal static class SystemCallFilter
{
    private const uint Allow = 0x7fff0000;
    private const uint KillProcess = 0x80000000;
    private const uint NotPermitted = Error | 1;
    private const uint NoSuchDevice = Error | 19;
    private const uint InvalidArgument = Error | 22;
    private const uint NoSuchCall = Error | 38;
    private const uint NoSuchOption = Error | 92;
    private const uint NoSuchFlag = Error | 95;
    private const uint NoSuchProtocol = Error | 93;
    private const uint NoSuchFamily = Error | 97;
    private const uint Error = 0x00050000;

    // The call succeeds, but the kernel does nothing.
    private const uint Pretend = Error;

    // mount, cgroup, uts, ipc, user, pid, net
    private const uint NamespaceFlags = 0x7e020000;
    private const uint SharedFiles = 0x400;
    private const uint SameProcess = 0x10000;
    private const uint MapHugePages = 0x40000;
    private const uint FileOfHugePages = 4;
    private const uint SharedHugePages = 0x800;
    private const uint MoreFollows = 0x8000;
    private const uint FirstX32Call = 0x40000000;
    private const uint MostPolled = 256;

    private const int NumberOffset = 0;
    private const int ArchitectureOffset = 4;
    private const int FirstArgument = 16;
    private const int SecondArgument = 24;
    private const int ThirdArgument = 32;
    private const int FourthArgument = 40;

    // Offset of the high half in an argument of 64 bits, which is little-endian.
    private const int HighHalf = 4;

    private static readonly Call Clone = new("clone", 56, 220);
    private static readonly Call Ioctl = new("ioctl", 16, 29);
    private static readonly Call Fcntl = new("fcntl", 72, 25);
    private static readonly Call Prctl = new("prctl", 157, 167);
    private static readonly Call Socket = new("socket", 41, 198);
    private static readonly Call Map = new("mmap", 9, 222);
    private static readonly Call MemoryFile = new("memfd_create", 319, 279);
    private static readonly Call SharedMemory = new("shmget", 29, 194);
    private static readonly Call SendTo = new("sendto", 44, 206);
    private static readonly Call SendMessage = new("sendmsg", 46, 211);
    private static readonly Call SendMessages = new("sendmmsg", 307, 269);
    private static readonly Call SetSocketOption = new("setsockopt", 54, 208);
    private static readonly Call GetSocketOption = new("getsockopt", 55, 209);
    private static readonly Call SendFile = new("sendfile", 40, 71);
    private static readonly Call Splice = new("splice", 275, 76);
    private static readonly Call[] Polls = [new("poll", 7, -1), new("ppoll", 271, 73)];
    private static readonly Call[] Selects = [new("select", 23, -1), new("pselect6", 270, 72)];

    private static readonly Call[] Missing = [new("clone3", 435, 435), new("io_setup", 206, 0), new("seccomp", 317, 277)];

    private static readonly Call[] Denied =
    [
        new("mount", 165, 40), new("umount2", 166, 39), new("pivot_root", 155, 41), new("chroot", 161, 51), new("open_tree", 428, 428), new("move_mount", 429, 429),
        new("fsopen", 430, 430), new("fsconfig", 431, 431), new("fsmount", 432, 432), new("fspick", 433, 433), new("mount_setattr", 442, 442), new("open_tree_attr", 467, 467),
        new("unshare", 272, 97), new("setns", 308, 268),
        new("ptrace", 101, 117), new("process_vm_readv", 310, 270), new("process_vm_writev", 311, 271), new("process_madvise", 440, 440), new("kcmp", 312, 272), new("pidfd_getfd", 438, 438),
        new("add_key", 248, 217), new("request_key", 249, 218), new("keyctl", 250, 219),
        new("bpf", 321, 280), new("perf_event_open", 298, 241), new("userfaultfd", 323, 282), new("memfd_secret", 447, 447), new("fanotify_init", 300, 262),
        new("io_uring_setup", 425, 425), new("io_uring_enter", 426, 426), new("io_uring_register", 427, 427),
        new("kexec_load", 246, 104), new("kexec_file_load", 320, 294), new("init_module", 175, 105), new("finit_module", 313, 273), new("delete_module", 176, 106),
        new("reboot", 169, 142), new("swapon", 167, 224), new("swapoff", 168, 225), new("acct", 163, 89), new("quotactl", 179, 60), new("quotactl_fd", 443, 443), new("syslog", 103, 116),
        new("settimeofday", 164, 170), new("clock_settime", 227, 112), new("clock_adjtime", 305, 266), new("adjtimex", 159, 171),
        new("name_to_handle_at", 303, 264), new("open_by_handle_at", 304, 265), new("lookup_dcookie", 212, 18), new("nfsservctl", 180, 42), new("vhangup", 153, 58),
        new("sethostname", 170, 161), new("setdomainname", 171, 162), new("personality", 135, 92), new("move_pages", 279, 239), new("migrate_pages", 256, 238),
        new("iopl", 172, -1), new("ioperm", 173, -1), new("modify_ldt", 154, -1), new("uselib", 134, -1), new("_sysctl", 156, -1),

        // They put pages of another pipe, or of a process, into a pipe.
        new("vmsplice", 278, 75), new("tee", 276, 77),

        // A policy for each page of a sparse file is memory that no cgroup counts.
        new("mbind", 237, 235), new("set_mempolicy", 238, 237), new("set_mempolicy_home_node", 450, 450),
    ];

    private enum Code : ushort
    {
        LoadWord = 0x20,
        And = 0x54,
        JumpIfEqual = 0x15,
        JumpIfAtLeast = 0x35,
        JumpIfAnySet = 0x45,
        Return = 0x06,
    }

    /// <summary>The program for an architecture; null when this class does not know its numbers.</summary>
    internal static byte[]? Build(Architecture architecture) => architecture switch
    {
        Architecture.X64 => Write(Program(0xc000003e, static call => call.X64)),
        Architecture.Arm64 => Write(Program(0xc00000b7, static call => call.Arm64)),
        _ => null,
    };

    private static List<Instruction> Program(uint abi, Func<Call, int> number)
    {
        return
        [
            Load(ArchitectureOffset),
            .. UnlessAny([abi], KillProcess),
            Load(NumberOffset),
            new(Code.JumpIfAtLeast, 0, 1, FirstX32Call),
            Return(KillProcess),
            .. IfAny(NumbersOf(Missing), NoSuchCall),
            .. IfAny(NumbersOf([Splice]), InvalidArgument),
            .. Denied.SelectMany(call => NumbersOf([call])).SelectMany(static one => IfAny([one], NotPermitted)),
            .. When(NumbersOf([Clone])[0], CloneRules()),
            .. When(NumbersOf([Ioctl])[0], IoctlRules()),
            .. When(NumbersOf([Fcntl])[0], FcntlRules()),
            .. When(NumbersOf([Prctl])[0], PrctlRules()),
            .. When(NumbersOf([Socket])[0], SocketRules()),
            .. When(NumbersOf([SetSocketOption])[0], SocketOptionRules()),
            .. When(NumbersOf([GetSocketOption])[0], SocketAnswerRules()),
            .. When(NumbersOf([SendFile])[0], SendFileRules()),
            .. NumbersOf(Polls).SelectMany(static one => When(one, CountRules(SecondArgument))),
            .. NumbersOf(Selects).SelectMany(static one => When(one, CountRules(FirstArgument))),
            .. When(NumbersOf([Map])[0], FlagRules(FourthArgument, MapHugePages, InvalidArgument)),
            .. When(NumbersOf([MemoryFile])[0], FlagRules(SecondArgument, FileOfHugePages, InvalidArgument)),
            .. When(NumbersOf([SharedMemory])[0], FlagRules(ThirdArgument, SharedHugePages, InvalidArgument)),
            .. When(NumbersOf([SendTo])[0], FlagRules(FourthArgument, MoreFollows, NoSuchFlag)),
            .. When(NumbersOf([SendMessage])[0], FlagRules(ThirdArgument, MoreFollows, NoSuchFlag)),
            .. When(NumbersOf([SendMessages])[0], FlagRules(FourthArgument, MoreFollows, NoSuchFlag)),
            Return(Allow),
        ];

        uint[] NumbersOf(Call[] calls) => [.. calls.Select(number).Where(static known => known >= 0).Select(static known => (uint)known)];
    }

    /// <summary>No namespaces. Only threads of one process share open files: a lock that an ended process left with another one is in no list.</summary>
    private static IEnumerable<Instruction> CloneRules() =>
    [
        Load(FirstArgument),
        new(Code.JumpIfAnySet, 0, 1, NamespaceFlags),
        Return(NotPermitted),
        new(Code.And, 0, 0, SharedFiles | SameProcess),
        .. IfAny([SharedFiles], NotPermitted),
    ];

    /// <summary>TIOCSTI and TIOCLINUX type into a terminal on behalf of its user.</summary>
    private static IEnumerable<Instruction> IoctlRules() => [Load(SecondArgument), .. IfAny([0x5412, 0x541c], NotPermitted)];

    /// <summary>No locks that belong to an open file, since they name no process (F_OFD_SETLK, F_OFD_SETLKW), and no leases (F_SETLEASE).</summary>
    private static IEnumerable<Instruction> FcntlRules() => [Load(SecondArgument), .. IfAny([37, 38, 1024], InvalidArgument)];

    /// <summary>No further filters (PR_SET_SECCOMP).</summary>
    private static IEnumerable<Instruction> PrctlRules() => [Load(FirstArgument), .. IfAny([22], InvalidArgument)];

    /// <summary>
    /// Refuses a flag. Flags for huge pages: the host has set these aside for other programs, and no cgroup on memory counts them. MSG_MORE: a datagram
    /// that is begun and not sent is charged to no sandbox.
    /// </summary>
    private static IEnumerable<Instruction> FlagRules(uint argument, uint flag, uint action) => [Load(argument), new(Code.JumpIfAnySet, 0, 1, flag), Return(action)];

    /// <summary>
    /// Bounds the number of descriptors of one poll or select: a thread that waits has up to two entries of 64 bytes for each. The kernel gives the
    /// same answer beyond the limit of open files.
    /// </summary>
    private static IEnumerable<Instruction> CountRules(uint argument) => [Load(argument), new(Code.JumpIfAtLeast, 0, 1, MostPolled + 1), Return(InvalidArgument)];

    /// <summary>
    /// No <c>sendfile</c> from the file's own position: it can move bytes of a socket into a pipe, where one byte has the kernel keep the whole block
    /// that its sender wrote it to. With an offset, sockets refuse the call themselves. <c>splice</c> can do the same. Libraries read and write instead.
    /// </summary>
    private static IEnumerable<Instruction> SendFileRules() =>
        [Load(ThirdArgument), .. UnlessAny([0], Allow), Load(ThirdArgument + HighHalf), .. IfAny([0], InvalidArgument)];

    /// <summary>No TCP_ZEROCOPY_RECEIVE: received pages that are mapped are charged to no sandbox.</summary>
    private static IEnumerable<Instruction> SocketAnswerRules() => [Load(SecondArgument), .. UnlessAny([6], Allow), Load(ThirdArgument), .. IfAny([35], NoSuchOption)];

    /// <summary>
    /// Allows unix sockets and those of TCP and UDP, but no raw ones. Without netlink the C library assumes that there are an IPv4 and an IPv6 address.
    /// </summary>
    private static IEnumerable<Instruction> SocketRules() =>
    [
        Load(FirstArgument),
        .. IfAny([1], Allow),
        .. UnlessAny([2, 10], NoSuchFamily),
        Load(SecondArgument),
        new(Code.And, 0, 0, 0xf),
        .. IfAny([3], NotPermitted),
        Load(ThirdArgument),
        .. UnlessAny([0, 6, 17], NoSuchProtocol),
    ];

    /// <summary>Options by their level: of a socket, of IPv4, of TCP, of UDP, of IPv6.</summary>
    private static IEnumerable<Instruction> SocketOptionRules() =>
    [
        Load(SecondArgument),
        .. When(1, OptionsOfSockets()),
        .. When(0, OptionsOfInternet()),
        .. When(6, OptionsOfTcp()),
        .. When(41, OptionsOfInternet6()),
        .. When(17, OptionsOfUdp()),
        Return(NoSuchOption),
    ];

    /// <summary>
    /// SO_SNDBUF, SO_RCVBUF and their forced forms do nothing. There is no SO_RCVLOWAT, which widens a buffer too, no filter
    /// (SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF and _EBPF), no SO_ZEROCOPY, no SO_RESERVE_MEM, and no option that
    /// puts sent packets into a queue of errors (both SO_TIMESTAMPING, SO_WIFI_STATUS, SO_TXTIME).
    /// </summary>
    private static IEnumerable<Instruction> OptionsOfSockets() =>
        [Load(ThirdArgument), .. IfAny([7, 8, 32, 33], Pretend), .. IfAny([18, 26, 37, 41, 50, 51, 52, 60, 61, 65, 73], NoSuchOption)];

    /// <summary>
    /// IP_RECVERR does nothing: the C library fails to resolve a name when it is refused. There is no IP_RECVERR_RFC4884. No groups:
    /// IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_MSFILTER, MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP, MCAST_MSFILTER.
    /// </summary>
    private static IEnumerable<Instruction> OptionsOfInternet() =>
        [Load(ThirdArgument), .. IfAny([11], Pretend), .. IfAny([26], NoSuchOption), .. IfAny([35, 39, 41, 42, 46, 48], NoSuchDevice)];

    /// <summary>Allows UDP_NO_CHECK6_TX and _RX, UDP_SEGMENT, UDP_GRO. No UDP_CORK: bytes that it holds back are charged to no sandbox.</summary>
    private static IEnumerable<Instruction> OptionsOfUdp() => [Load(ThirdArgument), .. UnlessAny([101, 102, 103, 104], NoSuchOption)];

    /// <summary>No TCP_MD5SIG and _EXT, TCP_FASTOPEN and _KEY, TCP_SAVE_SYN, TCP_ULP, and TCP_AO_ADD_KEY, _DEL_KEY and _INFO.</summary>
    private static IEnumerable<Instruction> OptionsOfTcp() => [Load(ThirdArgument), .. IfAny([14, 23, 27, 31, 32, 33, 38, 39, 40], NoSuchOption)];

    /// <summary>
    /// Allows options that only set a number in the socket: hops, multicast sending, IPV6_MTU_DISCOVER, _V6ONLY, _RECVPKTINFO, _RECVHOPLIMIT, _DONTFRAG,
    /// _RECVTCLASS, _TCLASS. IPV6_RECVERR does nothing, as IP_RECVERR.
    /// </summary>
    private static IEnumerable<Instruction> OptionsOfInternet6() =>
        [Load(ThirdArgument), .. IfAny([25], Pretend), .. UnlessAny([16, 17, 18, 19, 23, 26, 49, 51, 62, 66, 67], NoSuchOption)];

    private static Instruction Load(uint offset) => new(Code.LoadWord, 0, 0, offset);

    private static Instruction Return(uint action) => new(Code.Return, 0, 0, action);

    /// <summary>Returns the action when the loaded word is one of the values, and goes on otherwise.</summary>
    private static IEnumerable<Instruction> IfAny(uint[] values, uint action) =>
        values.Select((value, i) => new Instruction(Code.JumpIfEqual, (byte)(values.Length - 1 - i), (byte)(i == values.Length - 1 ? 1 : 0), value)).Append(Return(action));

    /// <summary>Goes on when the loaded word is one of the values, and returns the action otherwise.</summary>
    private static IEnumerable<Instruction> UnlessAny(uint[] values, uint action) =>
        values.Select((value, i) => new Instruction(Code.JumpIfEqual, (byte)(values.Length - i), 0, value)).Append(Return(action));

    /// <summary>When the loaded word is the value, the rules decide, and a call that they do not refuse is allowed. Goes on otherwise.</summary>
    private static IEnumerable<Instruction> When(uint value, IEnumerable<Instruction> rules)
    {
        Instruction[] all = [.. rules, Return(Allow)];
        return [new Instruction(Code.JumpIfEqual, 0, checked((byte)all.Length), value), .. all];
    }

    private static byte[] Write(List<Instruction> program)
    {
        var bytes = new byte[program.Count * 8];
        for (var i = 0; i < program.Count; i++)
        {
            var instruction = bytes.AsSpan(i * 8, 8);
            BinaryPrimitives.WriteUInt16LittleEndian(instruction, (ushort)program[i].Code);
            instruction[2] = program[i].True;
            instruction[3] = program[i].False;
            BinaryPrimitives.WriteUInt32LittleEndian(instruction[4..], program[i].Value);
        }

        return bytes;
    }

    /// <summary>A call and its numbers; -1 where the architecture has no such call.</summary>
    private readonly record struct Call(string Name, int X64, int Arm64);

    /// <summary>One instruction; True and False are the numbers of instructions to skip when its comparison holds and when it does not.</summary>
    private readonly record struct Instruction(Code Code, byte True, byte False, uint Value);
}
