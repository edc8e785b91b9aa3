using System.Globalization;
using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Processes;

/// <summary>Locks of files, as <c>/proc/locks</c> lists them: the newest first.</summary>
internal static class FileLocks
{
    /// <summary>Number of locks of each process, by its number.</summary>
    /// <param name="most">
    /// Lines that are read at most. The kernel begins anew for each page of the list, so that the time grows with the square of its length.
    /// </param>
    internal static Dictionary<int, int> Read(int most)
    {
        var held = new Dictionary<int, int>();
        foreach (var line in File.ReadLines("/proc/locks").Take(most))
        {
            // 12: POSIX  ADVISORY  WRITE 4321 00:2f:17 0 9; a lock that waits has an arrow before its kind.
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            var at = words is [_, "->", ..] ? 5 : 4;
            if (words.Length > at && int.TryParse(words[at], NumberStyles.None, CultureInfo.InvariantCulture, out var pid))
            {
                CollectionsMarshal.GetValueRefOrAddDefault(held, pid, out _)++;
            }
        }

        return held;
    }

    /// <summary>The process that has locked the file as a whole (<c>flock</c>); null when there is none, or we may not look at its open files.</summary>
    internal static int? HolderOf(string path)
    {
        foreach (var line in File.ReadLines("/proc/locks"))
        {
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, "FLOCK", _, _, var word, ..]
                && int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var pid) && HasOpen(pid, path))
            {
                return pid;
            }
        }

        return null;
    }

    private static bool HasOpen(int pid, string path)
    {
        try
        {
            return Directory.EnumerateFiles(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/fd"))
                .Any(open => string.Equals(new FileInfo(open).LinkTarget, path, StringComparison.Ordinal));
        }
        catch (Exception unknown) when (unknown is IOException or UnauthorizedAccessException)
        {
            return false; // the process is another user's, or has ended
        }
    }
}
