using System.Collections.Concurrent;
using System.Globalization;
using Frusta.Sandboxes.Layout;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>Makes sure that the users of sandboxes can read the files that are mounted for them.</summary>
/// <remarks>
/// bubblewrap mounts as the sandbox's user, so every folder on the way must let that user pass. Files in a closed folder, such as an
/// installation below /root, are copied once into the instance's folder.
/// </remarks>
internal sealed class MountSources(InstanceFolder instance)
{
    // Runners are a few files and an interpreter about 100 MB; a larger mount is a mistake in the options.
    private const long LargestCopy = 512L << 20;
    private const UnixFileMode EverybodyReads = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode EverybodyRuns = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly ConcurrentDictionary<string, Lazy<string>> _sources = new(StringComparer.Ordinal);
    private int _number;

    /// <summary>The path to mount a file or folder of the host from: its own, or that of its copy.</summary>
    /// <exception cref="SandboxStartException">The file or folder does not exist, or is too large to be copied.</exception>
    internal string Find(string hostPath) =>
        _sources.GetOrAdd(hostPath, static (path, self) => new Lazy<string>(() => self.FindOnce(path)), this).Value;

    private string FindOnce(string hostPath)
    {
        if (!Path.Exists(hostPath))
        {
            throw new SandboxStartException($"{hostPath} is to be mounted in the sandbox, but does not exist.");
        }

        if (IsOpen(hostPath))
        {
            return hostPath;
        }

        var copy = Path.Combine(instance.Path, string.Create(CultureInfo.InvariantCulture, $"mount-{Interlocked.Increment(ref _number)}"));
        var room = LargestCopy;
        Copy(hostPath, copy, ref room);
        return copy;
    }

    private static bool IsOpen(string path)
    {
        var wanted = Directory.Exists(path) ? UnixFileMode.OtherRead | UnixFileMode.OtherExecute : UnixFileMode.OtherRead;
        for (var at = path; at is not null; at = Path.GetDirectoryName(at), wanted = UnixFileMode.OtherExecute)
        {
            if ((File.GetUnixFileMode(at) & wanted) != wanted)
            {
                return false;
            }
        }

        return true;
    }

    private static void Copy(string from, string to, ref long room)
    {
        if (!Directory.Exists(from))
        {
            room -= new FileInfo(from).Length;
            if (room < 0)
            {
                throw new SandboxStartException($"{from} lies in a folder that sandboxes cannot enter, and there is more than {LargestCopy >> 20} MB to copy.");
            }

            var runs = File.GetUnixFileMode(from).HasFlag(UnixFileMode.UserExecute);
            File.Copy(from, to, overwrite: true);
            File.SetUnixFileMode(to, runs ? EverybodyReads | EverybodyRuns : EverybodyReads);
            return;
        }

        Directory.CreateDirectory(to);
        File.SetUnixFileMode(to, EverybodyReads | EverybodyRuns);
        foreach (var entry in Directory.EnumerateFileSystemEntries(from))
        {
            Copy(entry, Path.Combine(to, Path.GetFileName(entry)), ref room);
        }
    }
}
