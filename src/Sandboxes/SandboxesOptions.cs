namespace Frusta.Sandboxes;

/// <summary>How sandboxes are made (section <c>Sandboxes</c>).</summary>
public sealed class SandboxesOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Sandboxes";

    /// <summary>Bubblewrap where it works, else plain processes.</summary>
    public const string AutoDriver = "auto";

    /// <summary>Bubblewrap; the server does not start where it does not work.</summary>
    public const string BubblewrapDriver = "bubblewrap";

    /// <summary>Plain processes, which are not isolated.</summary>
    public const string ProcessDriver = "process";

    /// <summary>The freezer of cgroup v2 where it is mounted, else that of v1.</summary>
    public const string AutoFreezer = "auto";

    /// <summary>The freezer of cgroup v2 alone.</summary>
    public const string FreezerV2 = "v2";

    /// <summary>The freezer of cgroup v1 alone.</summary>
    public const string FreezerV1 = "v1";

    /// <summary>No freezer.</summary>
    public const string NoFreezer = "none";

    /// <summary>How sandboxes are made: <c>auto</c>, <c>bubblewrap</c> or <c>process</c>.</summary>
    public string Driver { get; set; } = AutoDriver;

    /// <summary>Folder for files that are needed only while the server runs: those that sandboxes mount, and notes by which a later start finds and removes the things that a killed server left. Empty means /run/frusta as root, else frusta-USER in the temporary folder. Servers of one host that do not share it see nothing of each other: as root each needs a `Sandboxes:FirstUserId` of its own then.</summary>
    public string RunFolder { get; set; } = "";

    /// <summary>Milliseconds. Longest time from the start of a sandbox until its program has said hello. 100 to 600000.</summary>
    public int StartTimeoutMs { get; set; } = 30_000;

    /// <summary>Sandboxes that may be in the making at a time; the rest wait. More than about two a core only makes each of them slower. 1 to 256.</summary>
    public int ConcurrentStarts { get; set; } = Math.Max(4, 2 * Environment.ProcessorCount);

    /// <summary>Starts that may wait for their turn; more are refused at once. 1 to 100000.</summary>
    public int WaitingStarts { get; set; } = 4096;

    /// <summary>Isolated sandboxes without a program that are kept for each interpreter; a start that finds one has only its program to wait for. Kept only where cgroups bound memory, and at most one of each for every sixteen of `Sandboxes:UserIds`. 0 to 64.</summary>
    public int Vacant { get; set; } = 3;

    /// <summary>Milliseconds. How often the memory of sandboxes is summed where no cgroup bounds it. 10 to 60000.</summary>
    public int WatchdogIntervalMs { get; set; } = 200;

    /// <summary>Milliseconds. Longest wait for the processes of an ended sandbox to be gone before it is reported. 100 to 60000.</summary>
    public int StopTimeoutMs { get; set; } = 5_000;

    /// <summary>Megabytes. Size of /tmp in an isolated sandbox; what is in it counts as the sandbox's memory. 1 to 65536.</summary>
    public int TmpMb { get; set; } = 256;

    /// <summary>Megabytes. Size of /dev/shm in an isolated sandbox; it counts as memory too. 1 to 65536.</summary>
    public int SharedMemoryMb { get; set; } = 16;

    /// <summary>Processes and threads in one sandbox. 16 to 32768.</summary>
    public int Processes { get; set; } = 1024;

    /// <summary>Processes and threads in all sandboxes together, where cgroups bound them; never more than three quarters of what the kernel has for the whole host (`kernel.pid_max`, `kernel.threads-max`). 1024 to 4194304.</summary>
    public int ProcessesInAll { get; set; } = 32_768;

    /// <summary>Megabytes. Data that may wait in the TCP and UDP sockets of one sandbox, where cgroup v1 counts it; cgroup v2 counts it as the sandbox's memory. 1 to 65536.</summary>
    public int SocketMemoryMb { get; set; } = 32;

    /// <summary>Milliseconds. How often the server reads how much memory the kernel of this host holds. When that has grown, it looks for sandboxes that have too much of the kinds that no cgroup counts. 10 to 60000.</summary>
    public int UncountedIntervalMs { get; set; } = 25;

    /// <summary>Open files of one process in a sandbox. 64 to 1048576.</summary>
    public int OpenFiles { get; set; } = 1024;

    /// <summary>Megabytes. Greatest single file that a sandbox may write. 1 to 1048576.</summary>
    public int FileSizeMb { get; set; } = 1024;

    /// <summary>First host user id for sandboxes; each running one has an id of its own. Used where the server is root. 1000 to 4000000000.</summary>
    public uint FirstUserId { get; set; } = 200_000;

    /// <summary>How many user ids from the first may be used, which bounds the number of isolated sandboxes, vacant ones included. 1 to 60000.</summary>
    public int UserIds { get; set; } = 10_000;

    /// <summary>Vacant sandboxes that are kept for each interpreter: few where there are few users, so that sandboxes with a program have most of them.</summary>
    internal int VacantKept => Math.Min(Vacant, UserIds / 16);

    /// <summary>Path of bubblewrap, which must exist; empty means the first <c>bwrap</c> on the path.</summary>
    public string Bubblewrap { get; set; } = "";

    /// <summary>Folder of the control groups below each controller, from the top of the hierarchy, without <c>.</c> and <c>..</c> in it; its weight is left as it is. Empty means <c>frusta</c>, which gets the weight of a task on each core.</summary>
    public string CgroupParent { get; set; } = "";

    /// <summary>The freezer that pauses idle sandboxes: that of cgroup <c>v2</c> or that of <c>v1</c>; <c>auto</c> takes v2 where it is mounted, also beside v1. Where there is none, and with <c>none</c>, idle sandboxes run on, and a sandbox that uses a core while idle is ended.</summary>
    public string Freezer { get; set; } = AutoFreezer;

    /// <summary>The network of isolated sandboxes.</summary>
    public SandboxNetworkOptions Network { get; set; } = new();

    /// <summary>The first rule that is broken, naming key, rule and value; null when all hold.</summary>
    public string? Validate()
    {
        if (Driver is not (AutoDriver or BubblewrapDriver or ProcessDriver))
        {
            return $"{Section}:{nameof(Driver)} must be {AutoDriver}, {BubblewrapDriver} or {ProcessDriver}, but it is {Driver}.";
        }

        if (Freezer is not (AutoFreezer or FreezerV2 or FreezerV1 or NoFreezer))
        {
            return $"{Section}:{nameof(Freezer)} must be {AutoFreezer}, {FreezerV2}, {FreezerV1} or {NoFreezer}, but it is {Freezer}.";
        }

        if (Bubblewrap.Length > 0 && !File.Exists(Bubblewrap))
        {
            return $"{Section}:{nameof(Bubblewrap)} must be the path of a program, but there is no file {Path.GetFullPath(Bubblewrap)}.";
        }

        if (CgroupParent.Length > 0 && !CgroupParent.Trim('/').Split('/').All(IsCgroupName))
        {
            return $"{Section}:{nameof(CgroupParent)} must be a path below the top of the control groups, without . and .. in it, but it is {CgroupParent}.";
        }

        (string Key, long Value, long Least, long Greatest)[] rules =
        [
            (nameof(StartTimeoutMs), StartTimeoutMs, 100, 600_000),
            (nameof(ConcurrentStarts), ConcurrentStarts, 1, 256),
            (nameof(WaitingStarts), WaitingStarts, 1, 100_000),
            (nameof(Vacant), Vacant, 0, 64),
            (nameof(WatchdogIntervalMs), WatchdogIntervalMs, 10, 60_000),
            (nameof(StopTimeoutMs), StopTimeoutMs, 100, 60_000),
            (nameof(TmpMb), TmpMb, 1, 65_536),
            (nameof(SharedMemoryMb), SharedMemoryMb, 1, 65_536),
            (nameof(Processes), Processes, 16, 32_768),
            (nameof(ProcessesInAll), ProcessesInAll, 1024, 4_194_304),
            (nameof(SocketMemoryMb), SocketMemoryMb, 1, 65_536),
            (nameof(UncountedIntervalMs), UncountedIntervalMs, 10, 60_000),
            (nameof(OpenFiles), OpenFiles, 64, 1_048_576),
            (nameof(FileSizeMb), FileSizeMb, 1, 1_048_576),
            (nameof(FirstUserId), FirstUserId, 1000, 4_000_000_000),
            (nameof(UserIds), UserIds, 1, 60_000),
        ];
        foreach (var (key, value, least, greatest) in rules)
        {
            if (value < least || value > greatest)
            {
                return $"{Section}:{key} must be from {least} to {greatest}, but it is {value}.";
            }
        }

        return Network.Validate();
    }

    private static bool IsCgroupName(string name) => name is not ("" or "." or "..") && name.Length <= 255 && !name.Any(char.IsControl);
}
