using System.Globalization;
using Frusta.Sandboxes.Cgroups;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Network;
using Frusta.Sandboxes.Processes;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes.Makers;

/// <summary>Removes the things that killed servers left: processes, cgroups, nft tables, links, folders. Living instances are not touched.</summary>
public static partial class SandboxLeftovers
{
    private static readonly TimeSpan LongestKill = TimeSpan.FromSeconds(5);

    /// <summary>To be called once at the start, before the first maker is made.</summary>
    /// <returns>How many dead instances were cleaned.</returns>
    public static async Task<int> CleanAsync(SandboxesOptions options, TimeProvider time, ILogger log, CancellationToken cancellationToken)
    {
        var run = InstanceFolder.RunFolder(options);
        if (!Directory.Exists(run))
        {
            return 0;
        }

        using var alone = await RunLock.TakeAsync(options, time, cancellationToken);
        using var spawner = new Spawner();
        var cleaned = 0;
        foreach (var folder in Directory.GetDirectories(run))
        {
            // Death is asked first, then the folder: an instance that ended well meanwhile removed its folder before it died.
            if (InstanceFolder.DeadInstanceId(folder) is { } id && Directory.Exists(folder))
            {
                try
                {
                    await CleanInstanceAsync(folder, spawner, time, cancellationToken);
                    LogCleaned(log, id);
                    cleaned++;
                }
                catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
                {
                    LogNotCleaned(log, id, folder, refused.Message);
                }
            }
        }

        if (cleaned > 0 && Libc.EffectiveUser() == 0)
        {
            using var network = await PacketForwarding.TakeLockAsync(time, cancellationToken);
            PacketForwarding.TurnOffAfterTheLast();
        }

        return cleaned;
    }

    private static async Task CleanInstanceAsync(string folder, Spawner spawner, TimeProvider time, CancellationToken cancellationToken)
    {
        foreach (var (leader, startTime) in SessionNote.ReadAll(folder))
        {
            KillSession(leader, startTime);
        }

        var notes = InstanceFolder.ReadNotes(folder).Select(static line => line.Split(' ')).ToList();
        foreach (var words in notes.Where(static words => words[0] is NoteKind.Cgroup && words.Length == 2))
        {
            KillAndThaw(words[1]);
        }

        foreach (var words in notes)
        {
            switch (words[0])
            {
                case NoteKind.Cgroup when words.Length == 2:
                    await RemoveCgroupsAsync(words[1], time, cancellationToken);
                    break;
                case NoteKind.Table when words.Length == 2:
                    _ = await Tool.RunAsync(spawner, "nft", ["delete", "table", "inet", words[1]]);
                    break;
                case NoteKind.Link when words.Length == 2:
                    _ = await Tool.RunAsync(spawner, "ip", ["link", "delete", words[1]]);
                    break;
            }
        }

        if (!InstanceFolder.TryRemove(folder))
        {
            throw new IOException("Something in its folder cannot be removed.");
        }
    }

    private static void KillSession(int pid, string startTime)
    {
        var now = ProcessTable.StartTime(pid);

        // A leader that is gone may have left its session behind; its number is not given to another process while the session lives.
        if (now is null || string.Equals(now.Value.ToString(CultureInfo.InvariantCulture), startTime, StringComparison.Ordinal))
        {
            ProcessTable.Read().Tree(pid).ForEach(static member => _ = Libc.Kill(member, Libc.SigKill));
        }
    }

    /// <summary>
    /// Kills all processes of an instance's groups and thaws the groups. Processes that v1 has frozen end only when they are thawed, and until then keep
    /// their groups in every hierarchy, so this comes before any group is removed.
    /// </summary>
    private static void KillAndThaw(string parent)
    {
        foreach (var group in Directory.Exists(parent) ? Directory.GetDirectories(parent) : [])
        {
            KillAll(group);
            if (File.Exists(Path.Combine(group, FreezerV1.StateFile)))
            {
                FreezerV1.Thaw(group);
            }
        }
    }

    private static void KillAll(string group)
    {
        foreach (var line in File.ReadAllLines(Path.Combine(group, "cgroup.procs")))
        {
            _ = Libc.Kill(int.Parse(line, CultureInfo.InvariantCulture), Libc.SigKill);
        }
    }

    private static async Task RemoveCgroupsAsync(string parent, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(parent))
        {
            return;
        }

        var began = time.GetTimestamp();
        foreach (var group in (string[])[.. Directory.GetDirectories(parent), parent])
        {
            while (true)
            {
                KillAll(group);
                try
                {
                    Directory.Delete(group);
                    break;
                }
                catch (IOException) when (time.GetElapsedTime(began) < LongestKill)
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(5), time, cancellationToken);
                }
            }
        }
    }

    [LoggerMessage(EventId = 5010, Level = LogLevel.Information, Message = "Cleaned up after instance {Id}, which had been killed")]
    private static partial void LogCleaned(ILogger log, string id);

    [LoggerMessage(EventId = 5011, Level = LogLevel.Warning, Message = "Instance {Id} was killed and cannot be cleaned up after; the next start tries again. See {Folder}: {Reason}")]
    private static partial void LogNotCleaned(ILogger log, string id, string folder, string reason);
}
