using System.Globalization;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Cgroups;

/// <summary>The control group of one sandbox: it bounds the sandbox, counts its use, and lists its processes.</summary>
internal abstract class Cgroup(Freezer? freezer)
{
    /// <summary>Freezes its processes; null where that is not possible, or not wanted.</summary>
    internal Freezer? Freezer { get; } = freezer;

    /// <summary>Moves a process into the group; processes that it starts later are in the group too.</summary>
    internal abstract void Attach(int pid);

    /// <summary>Sets the bound on memory and swap together.</summary>
    internal abstract void LimitMemory(int megabytes);

    /// <summary>Bytes in use, without page cache that the kernel could drop at once.</summary>
    internal abstract long MeasureMemory();

    /// <summary>Processor time that all processes which were ever in the group have used; null where the kernel does not count it.</summary>
    internal abstract TimeSpan? MeasureCpuTime();

    /// <summary>Bytes that wait in the sockets of its processes; 0 where they are not counted.</summary>
    internal abstract long MeasureSockets();

    /// <summary>True when bytes in sockets have a bound of their own, and do not count as memory.</summary>
    internal virtual bool CountsSocketsApart => false;

    /// <summary>Number of its processes that the kernel has killed for want of memory; 0 when the group is gone.</summary>
    internal abstract long MemoryKills { get; }

    /// <summary>Folder that lists the processes.</summary>
    protected abstract string ProcessFolder { get; }

    /// <summary>Kills all processes, waits until they have ended, and removes the group; false when that takes longer than the time.</summary>
    internal async Task<bool> EndAsync(TimeSpan timeout, TimeProvider time)
    {
        var began = time.GetTimestamp();
        for (var pause = 1; ; pause = Math.Min(pause * 2, 50))
        {
            Kill();
            if (Processes().Count == 0 && TryRemove())
            {
                return true;
            }

            if (time.GetElapsedTime(began) > timeout)
            {
                return false;
            }

            // The kernel does not tell when the last process has left a v1 group, so this asks again.
            await Task.Delay(TimeSpan.FromMilliseconds(pause), time);
        }
    }

    /// <summary>Kills all processes, frozen or not. True when this ends a pause.</summary>
    internal bool Kill()
    {
        KillAll();
        return Freezer?.Release() ?? false;
    }

    internal List<int> Processes()
    {
        var pids = new List<int>();
        foreach (var line in ReadFile(ProcessFolder, "cgroup.procs").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            pids.Add(int.Parse(line, CultureInfo.InvariantCulture));
        }

        return pids;
    }

    protected virtual void KillAll()
    {
        foreach (var pid in Processes())
        {
            _ = Libc.Kill(pid, Libc.SigKill);
        }
    }

    protected abstract bool TryRemove();

    internal static bool TryRemoveFolder(string folder)
    {
        try
        {
            Directory.Delete(folder);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    protected static string ReadFile(string folder, string name)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, name));
        }
        catch (IOException)
        {
            // The group is gone.
            return "";
        }
    }

    internal static void WriteFile(string folder, string name, long value) =>
        File.WriteAllText(Path.Combine(folder, name), value.ToString(CultureInfo.InvariantCulture));

    /// <summary>The number behind a name in a file of lines such as <c>oom_kill 1</c>; 0 when it is not there.</summary>
    internal static long ReadField(string folder, string name, string field)
    {
        foreach (var line in ReadFile(folder, name).Split('\n'))
        {
            if (line.StartsWith(field, StringComparison.Ordinal) && line.Length > field.Length && line[field.Length] == ' ')
            {
                return ParseNumber(line[(field.Length + 1)..]);
            }
        }

        return 0;
    }

    protected static long ParseNumber(string text) => long.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
}
