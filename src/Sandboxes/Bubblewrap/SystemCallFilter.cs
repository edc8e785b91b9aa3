using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>The seccomp program of every sandbox: a deny list, as bytes of classic BPF.</summary>
/// <remarks>
/// What is refused gets EPERM, so that a library takes its other way. Two exceptions: clone3 gets ENOSYS, for its flags lie behind a pointer
/// that a filter cannot follow and the C library then uses clone; and calls of another ABI end the process, for their numbers mean other things.
/// </remarks>
internal static class SystemCallFilter
{
    private const uint Allow = 0x7fff0000;
    private const uint KillProcess = 0x80000000;
    private const uint NotPermitted = 0x00050000 | 1;
    private const uint NoSuchCall = 0x00050000 | 38;
    private const uint NoSuchFamily = 0x00050000 | 97;

    // mount, cgroup, uts, ipc, user, pid, net
    private const uint NamespaceFlags = 0x7e020000;
    private const uint FirstX32Call = 0x40000000;

    private const int NumberOffset = 0;
    private const int ArchitectureOffset = 4;
    private const int FirstArgumentOffset = 16;
    private const int SecondArgumentOffset = 24;
    private const int ThirdArgumentOffset = 32;

    // name, x86-64, arm64; -1 where the architecture has no such call
    private static readonly (string Name, int X64, int Arm64)[] Denied =
    [
        ("mount", 165, 40), ("umount2", 166, 39), ("pivot_root", 155, 41), ("chroot", 161, 51), ("open_tree", 428, 428), ("move_mount", 429, 429),
        ("fsopen", 430, 430), ("fsconfig", 431, 431), ("fsmount", 432, 432), ("fspick", 433, 433), ("mount_setattr", 442, 442),
        ("unshare", 272, 97), ("setns", 308, 268),
        ("ptrace", 101, 117), ("process_vm_readv", 310, 270), ("process_vm_writev", 311, 271), ("process_madvise", 440, 440), ("kcmp", 312, 272), ("pidfd_getfd", 438, 438),
        ("add_key", 248, 217), ("request_key", 249, 218), ("keyctl", 250, 219),
        ("bpf", 321, 280), ("perf_event_open", 298, 241), ("userfaultfd", 323, 282), ("memfd_secret", 447, 447), ("fanotify_init", 300, 262),
        ("io_uring_setup", 425, 425), ("io_uring_enter", 426, 426), ("io_uring_register", 427, 427),
        ("kexec_load", 246, 104), ("kexec_file_load", 320, 294), ("init_module", 175, 105), ("finit_module", 313, 273), ("delete_module", 176, 106),
        ("reboot", 169, 142), ("swapon", 167, 224), ("swapoff", 168, 225), ("acct", 163, 89), ("quotactl", 179, 60), ("quotactl_fd", 443, 443), ("syslog", 103, 116),
        ("settimeofday", 164, 170), ("clock_settime", 227, 112), ("clock_adjtime", 305, 266), ("adjtimex", 159, 171),
        ("name_to_handle_at", 303, 264), ("open_by_handle_at", 304, 265), ("lookup_dcookie", 212, 18), ("nfsservctl", 180, 42), ("vhangup", 153, 58),
        ("sethostname", 170, 161), ("setdomainname", 171, 162), ("personality", 135, 92), ("move_pages", 279, 239), ("migrate_pages", 256, 238),
        ("iopl", 172, -1), ("ioperm", 173, -1), ("modify_ldt", 154, -1), ("uselib", 134, -1), ("_sysctl", 156, -1),
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

    /// <summary>The program for an architecture; null when its numbers are not known here.</summary>
    internal static byte[]? Build(Architecture architecture) => architecture switch
    {
        Architecture.X64 => Build(0xc000003e, static call => call.X64, clone: 56, clone3: 435, socket: 41, ioctl: 16),
        Architecture.Arm64 => Build(0xc00000b7, static call => call.Arm64, clone: 220, clone3: 435, socket: 198, ioctl: 29),
        _ => null,
    };

    private static byte[] Build(uint abi, Func<(string Name, int X64, int Arm64), int> number, uint clone, uint clone3, uint socket, uint ioctl)
    {
        var program = new List<(Code Code, byte True, byte False, uint Value)>
        {
            (Code.LoadWord, 0, 0, ArchitectureOffset),
            (Code.JumpIfEqual, 1, 0, abi),
            (Code.Return, 0, 0, KillProcess),
            (Code.LoadWord, 0, 0, NumberOffset),
            (Code.JumpIfAtLeast, 0, 1, FirstX32Call),
            (Code.Return, 0, 0, KillProcess),
            (Code.JumpIfEqual, 0, 1, clone3),
            (Code.Return, 0, 0, NoSuchCall),
        };
        foreach (var call in Denied)
        {
            if (number(call) >= 0)
            {
                program.Add((Code.JumpIfEqual, 0, 1, (uint)number(call)));
                program.Add((Code.Return, 0, 0, NotPermitted));
            }
        }

        program.AddRange(
        [
            (Code.JumpIfEqual, 0, 4, clone),
            (Code.LoadWord, 0, 0, FirstArgumentOffset),
            (Code.JumpIfAnySet, 0, 1, NamespaceFlags),
            (Code.Return, 0, 0, NotPermitted),
            (Code.Return, 0, 0, Allow),

            // TIOCSTI and TIOCLINUX type into a terminal on behalf of its user.
            (Code.JumpIfEqual, 0, 5, ioctl),
            (Code.LoadWord, 0, 0, SecondArgumentOffset),
            (Code.JumpIfEqual, 1, 0, 0x5412),
            (Code.JumpIfEqual, 0, 1, 0x541c),
            (Code.Return, 0, 0, NotPermitted),
            (Code.Return, 0, 0, Allow),

            // Sockets: unix; internet, but not raw; netlink for routes alone, which getaddrinfo asks for addresses.
            (Code.JumpIfEqual, 0, 14, socket),
            (Code.LoadWord, 0, 0, FirstArgumentOffset),
            (Code.JumpIfEqual, 11, 0, 1),
            (Code.JumpIfEqual, 6, 0, 2),
            (Code.JumpIfEqual, 5, 0, 10),
            (Code.JumpIfEqual, 1, 0, 16),
            (Code.Return, 0, 0, NoSuchFamily),
            (Code.LoadWord, 0, 0, ThirdArgumentOffset),
            (Code.JumpIfEqual, 5, 0, 0),
            (Code.Return, 0, 0, NotPermitted),
            (Code.LoadWord, 0, 0, SecondArgumentOffset),
            (Code.And, 0, 0, 0xf),
            (Code.JumpIfEqual, 0, 1, 3),
            (Code.Return, 0, 0, NotPermitted),
            (Code.Return, 0, 0, Allow),
            (Code.Return, 0, 0, Allow),
        ]);
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
}
