using System.Globalization;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Layout;

/// <summary>A file in the folder of a plain process, by which its session is found when the server was killed. It goes with the folder.</summary>
internal static class SessionNote
{
    private const string Name = "session";

    internal static void Write(string sandboxFolder, int leader) =>
        File.WriteAllText(Path.Combine(sandboxFolder, Name), string.Create(CultureInfo.InvariantCulture, $"{leader} {ProcessTable.StartTime(leader)}"));

    /// <summary>The leaders of all sessions of an instance, and when each was started. A server that was killed before it wrote a note had a runner there without code, which ends by itself.</summary>
    internal static IEnumerable<(int Leader, string StartTime)> ReadAll(string instanceFolder)
    {
        foreach (var note in Directory.GetDirectories(instanceFolder).Select(static sandbox => Path.Combine(sandbox, Name)).Where(File.Exists))
        {
            var words = File.ReadAllText(note).Split(' ');
            if (words.Length == 2 && int.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out var leader))
            {
                yield return (leader, words[1]);
            }
        }
    }
}
