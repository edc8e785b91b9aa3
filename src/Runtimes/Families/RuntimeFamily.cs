using Frusta.Runtimes.Frames;

namespace Frusta.Runtimes.Families;

/// <summary>Kinds that behave alike.</summary>
public enum RuntimeFamily : byte
{
    NodeJs,
    Python,
}

internal static class RuntimeFamilyWords
{
    private static readonly WordsOfEnd OfPython = new(
        "{\"error\":\"Cannot start action. Check logs for details.\"}\n"u8.ToArray(),
        "{\"error\":\"command exited\"}\n"u8.ToArray());

    public static WordsOfEnd Words(this RuntimeFamily family) => family == RuntimeFamily.Python ? OfPython : WordsOfEnd.None;
}
