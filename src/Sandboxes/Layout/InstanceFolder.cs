using System.Globalization;
using System.Security.Cryptography;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Layout;

/// <summary>The folder of one running maker under the run folder. Its name tells a later start whether its server still lives.</summary>
/// <remarks>
/// <c>RUN/ID-PID-STARTTIME/</c> holds files that sandboxes mount, a folder for each plain process, and the file <c>ledger</c> with the instance's notes:
/// one line for each thing outside this folder that must be given back (a cgroup folder, an nft table, a link). A line is written before its thing is made.
/// </remarks>
internal sealed class InstanceFolder : IDisposable
{
    internal const string NotesName = "ledger";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    // Sandboxes run as other users. They must get through to the files that they mount from here, but cannot list the folder.
    private const UnixFileMode PassThrough = OwnerOnly | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly Lock _notes = new();

    private InstanceFolder(string path, string id)
    {
        Path = path;
        Id = id;
    }

    internal string Path { get; }

    /// <summary>Six hex digits, part of the names of this instance's links and tables in the kernel.</summary>
    internal string Id { get; }

    /// <summary>The run folder, in which each instance has its folder.</summary>
    internal static string RunFolder(SandboxesOptions options)
    {
        if (options.RunFolder.Length > 0)
        {
            return System.IO.Path.GetFullPath(options.RunFolder);
        }

        return Libc.EffectiveUser() == 0 ? "/run/frusta" : System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"frusta-{Libc.EffectiveUser()}");
    }

    internal static InstanceFolder Create(SandboxesOptions options)
    {
        var run = RunFolder(options);
        Directory.CreateDirectory(run, PassThrough);
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(3));
        var started = ProcessTable.StartTime(Environment.ProcessId) ?? 0;
        var path = System.IO.Path.Combine(run, string.Create(CultureInfo.InvariantCulture, $"{id}-{Environment.ProcessId}-{started}"));
        Directory.CreateDirectory(path, PassThrough);
        File.WriteAllText(System.IO.Path.Combine(path, NotesName), "");
        return new InstanceFolder(path, id);
    }

    /// <summary>The id in a folder's name, when its server is dead; null when the server lives or the name is not an instance's.</summary>
    internal static string? DeadInstanceId(string path)
    {
        var parts = System.IO.Path.GetFileName(path).Split('-');
        return parts.Length == 3
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
            && long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var started)
            && ProcessTable.StartTime(pid) != started
            ? parts[0]
            : null;
    }

    /// <summary>Notes a thing that a later start must give back if this server is killed.</summary>
    internal void Note(string kind, string thing)
    {
        lock (_notes)
        {
            File.AppendAllText(System.IO.Path.Combine(Path, NotesName), $"{kind} {thing}\n");
        }
    }

    /// <summary>The things of one kind in the notes of all instances in the run folder.</summary>
    internal static IEnumerable<string> Noted(SandboxesOptions options, string kind)
    {
        foreach (var folder in Directory.GetDirectories(RunFolder(options)))
        {
            foreach (var line in ReadNotes(folder))
            {
                if (line.StartsWith(kind, StringComparison.Ordinal) && line.Length > kind.Length && line[kind.Length] == ' ')
                {
                    yield return line[(kind.Length + 1)..];
                }
            }
        }
    }

    /// <summary>The whole lines of an instance's notes; none when the instance has just ended and removed them.</summary>
    internal static string[] ReadNotes(string folder)
    {
        try
        {
            // A line without its end was being written when the server was killed; its thing was not made.
            return File.ReadAllText(System.IO.Path.Combine(folder, NotesName)).Split('\n')[..^1];
        }
        catch (Exception gone) when (gone is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
    }

    /// <summary>Makes the folder in which a plain process runs.</summary>
    internal string CreateSandboxFolder(string label) => Directory.CreateDirectory(System.IO.Path.Combine(Path, label), OwnerOnly).FullName;

    /// <summary>
    /// Removes a folder with all that is in it, also folders closed to their owner; false when something stays. No process may write to it any more.
    /// </summary>
    internal static bool TryRemove(string folder)
    {
        for (var tries = 0; tries < 2; tries++)
        {
            try
            {
                Directory.Delete(folder, recursive: true);
                return true;
            }
            catch (DirectoryNotFoundException)
            {
                return true;
            }
            catch (UnauthorizedAccessException)
            {
                OpenUp(new DirectoryInfo(folder));
            }
            catch (IOException)
            {
                return false;
            }
        }

        return false;
    }

    public void Dispose() => TryRemove(Path); // a sandbox that did not end in time still has its folder; the next start removes it

    /// <summary>Opens a folder and those below it: a function may have made folders that not even their owner may enter.</summary>
    private static void OpenUp(DirectoryInfo top)
    {
        var closed = new Stack<DirectoryInfo>([top]);
        while (closed.TryPop(out var folder))
        {
            try
            {
                folder.UnixFileMode = OwnerOnly;
                foreach (var inner in folder.EnumerateDirectories().Where(static inner => inner.LinkTarget is null))
                {
                    closed.Push(inner);
                }
            }
            catch (Exception notOurs) when (notOurs is IOException or UnauthorizedAccessException)
            {
                // This folder stays.
            }
        }
    }
}
