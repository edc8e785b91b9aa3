using System.Globalization;
using Frusta.Sandboxes.Layout;

namespace Frusta.Sandboxes.Cgroups;

/// <summary>The folders of this host's control groups, found by trying.</summary>
internal sealed class CgroupHierarchy
{
    private const string DefaultParent = "frusta";

    // The weight of a task beside a group, in v1 and in v2.
    private const long SharesOfTask = 1024;
    private const long WeightOfTask = 100;
    private const long GreatestWeight = 10_000;

    private readonly SandboxesOptions _options;
    private readonly string _memory;
    private readonly string? _pids;
    private readonly string? _cpu;
    private readonly string? _cpuTime;
    private readonly FreezerHierarchy? _freezer;

    private CgroupHierarchy(SandboxesOptions options, string memory)
    {
        (_options, _memory) = (options, memory);
        Freezes = options.Freezer is SandboxesOptions.AutoFreezer or SandboxesOptions.FreezerV2 && File.Exists(Path.Combine(memory, FreezerV2.FreezeFile));
    }

    private CgroupHierarchy(SandboxesOptions options, string memory, string pids, string? cpu, string? cpuTime, FreezerHierarchy? freezer)
    {
        (_options, _memory, _pids, _cpu, _cpuTime, _freezer) = (options, memory, pids, cpu, cpuTime, freezer);
        Freezes = freezer is not null;
    }

    /// <summary>The limits on sandboxes and their mechanism, for the report.</summary>
    internal string Words => _pids is null ? "memory, processes and cpu share by cgroup v2" : "memory, processes and cpu share by cgroup v1";

    /// <summary>True when sandboxes can be paused on this host.</summary>
    internal bool Freezes { get; }

    /// <summary>The mechanism that pauses sandboxes, for the report.</summary>
    internal string FreezerWords => _freezer is { IsUnified: false } ? "cgroup v1" : "cgroup v2";

    /// <summary>File, and the word in it before the number, with the bytes that the kernel holds for all sandboxes of this instance and charges to them.</summary>
    internal (string File, string Word) KernelMemory =>
        _pids is null ? (Path.Combine(_memory, "memory.stat"), "kernel ") : (Path.Combine(_memory, "memory.kmem.usage_in_bytes"), "");

    /// <summary>
    /// Greatest number of processes and threads of all sandboxes together: that of the options, but never more than three quarters of the kernel's.
    /// </summary>
    internal int ProcessesInAll => (int)Math.Min(_options.ProcessesInAll, Math.Min(Kernel("threads-max"), Kernel("pid_max")) * 3 / 4);

    /// <summary>Finds the hierarchy and makes this instance's folders in it.</summary>
    /// <returns>The hierarchy, or null and the reason why this host has none that can be used.</returns>
    internal static (CgroupHierarchy? Hierarchy, string Reason) Open(SandboxesOptions options, InstanceFolder instance, string root = "/sys/fs/cgroup")
    {
        try
        {
            var parent = options.CgroupParent.Trim('/');
            var below = Path.Combine(parent.Length == 0 ? DefaultParent : parent, Path.GetFileName(instance.Path));
            var hierarchy = File.Exists(Path.Combine(root, "cgroup.controllers")) ? OpenUnified(options, instance, root, below) : OpenSeparate(options, instance, root, below);
            if (parent.Length == 0)
            {
                WeighAsCores(root, hierarchy);
            }

            File.WriteAllText(Path.Combine(hierarchy._pids ?? hierarchy._memory, "pids.max"), hierarchy.ProcessesInAll.ToString(CultureInfo.InvariantCulture));

            return (hierarchy, "");
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return (null, refused.Message);
        }
    }

    internal Cgroup Create(string label, int memoryMb) => _pids is null
        ? new CgroupV2(Path.Combine(_memory, label), memoryMb, _options.Processes, Freezes)
        : new CgroupV1(Path.Combine(_memory, label), Path.Combine(_pids, label), In(_cpu, label), In(_cpuTime, label), _freezer?.Create(label), memoryMb, _options);

    /// <summary>Removes this instance's folders; false when something in them has not ended.</summary>
    internal bool TryRemove()
    {
        try
        {
            _freezer?.Remove();
            foreach (var folder in new[] { _memory, _pids, _cpu, _cpuTime })
            {
                if (folder is not null && Directory.Exists(folder))
                {
                    Directory.Delete(folder);
                }
            }

            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>
    /// Gives all sandboxes of this host together the weight of a task on each core. Otherwise they have that of one task, and starve beside a compiler.
    /// </summary>
    private static void WeighAsCores(string root, CgroupHierarchy hierarchy)
    {
        var (name, weight) = hierarchy._pids is null
            ? (Path.Combine(root, DefaultParent, "cpu.weight"), Math.Min(WeightOfTask * Environment.ProcessorCount, GreatestWeight))
            : (Path.Combine(root, "cpu", DefaultParent, "cpu.shares"), SharesOfTask * Environment.ProcessorCount);
        if (File.Exists(name))
        {
            File.WriteAllText(name, weight.ToString(CultureInfo.InvariantCulture));
        }
    }

    private static long Kernel(string bound) => long.Parse(File.ReadAllText(Path.Combine("/proc/sys/kernel", bound)), CultureInfo.InvariantCulture);

    private static CgroupHierarchy OpenSeparate(SandboxesOptions options, InstanceFolder instance, string root, string below)
    {
        string Make(string controller)
        {
            var mounted = Path.Combine(root, controller);
            if (!File.Exists(Path.Combine(mounted, "cgroup.procs")))
            {
                throw new IOException($"No cgroup controller is mounted at {mounted}.");
            }

            var folder = Path.Combine(mounted, below);
            instance.Note(NoteKind.Cgroup, folder);
            Directory.CreateDirectory(folder);
            return folder;
        }

        string? MakeWhere(string controller, string file) => File.Exists(Path.Combine(root, controller, file)) ? Make(controller) : null;

        var cpu = MakeWhere("cpu", "cgroup.procs");
        var freezer = FreezerHierarchy.Open(options, instance, root, below);

        // Many hosts have one hierarchy for both controllers, cpu and cpuacct.
        var cpuTime = freezer is { IsUnified: true } ? null : cpu is not null && File.Exists(Path.Combine(cpu, CgroupV1.CpuTimeFile)) ? cpu : MakeWhere("cpuacct", CgroupV1.CpuTimeFile);
        return new CgroupHierarchy(options, Make("memory"), Make("pids"), cpu, cpuTime, freezer);
    }

    private static string? In(string? folder, string label) => folder is null ? null : Path.Combine(folder, label);

    private static CgroupHierarchy OpenUnified(SandboxesOptions options, InstanceFolder instance, string root, string below)
    {
        // Each level on the way down must hand memory, pids and cpu to the next one.
        var folder = root;
        foreach (var level in below.Split('/'))
        {
            File.WriteAllText(Path.Combine(folder, "cgroup.subtree_control"), "+memory +pids +cpu");
            folder = Path.Combine(folder, level);
            if (folder.Length == root.Length + 1 + below.Length)
            {
                instance.Note(NoteKind.Cgroup, folder);
            }

            Directory.CreateDirectory(folder);
        }

        File.WriteAllText(Path.Combine(folder, "cgroup.subtree_control"), "+memory +pids +cpu");
        return new CgroupHierarchy(options, folder);
    }
}
