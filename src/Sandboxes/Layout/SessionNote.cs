using System.Globalization;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Layout;

/// <summary>A file in the folder of a plain process that names its session, for the clean-up after a killed server.</summary>
internal static class SessionNote
{
    private const string Name = "session";

    internal static void Write(string sandboxFolder, int leader) =>
        File.WriteAllText(Path.Combine(sandboxFolder, Name), string.Create(CultureInfo.InvariantCulture, $"{leader} {ProcessTable.StartTime(leader)}"));

    /// <summary>The leaders of all sessions of an instance, and when each was started.</summary>
    /// <remarks>A server that was killed before it wrote a note leaves a runner without code, which ends by itself.</remarks>
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
