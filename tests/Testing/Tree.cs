using System.Diagnostics;

namespace Frusta.Testing;

/// <summary>The tree that the tests were built from.</summary>
public static class Tree
{
    private static readonly Lazy<IReadOnlyList<string>> Listed = new(ListFiles);

    public static string Root { get; } = FindRoot();

    /// <summary>The server of the same configuration as the tests.</summary>
    public static string Program { get; } = Path.Combine(Root, "artifacts", "bin", "Server", new DirectoryInfo(AppContext.BaseDirectory).Name, "frusta.dll");

    /// <summary>Its files as git knows them, relative to the root.</summary>
    public static IReadOnlyList<string> Files => Listed.Value;

    public static string Read(string relativePath) => File.ReadAllText(Path.Combine(Root, relativePath));

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Frusta.slnx")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run from within the tree.");
        }

        return folder;
    }

    private static List<string> ListFiles()
    {
        using var git = Process.Start(new ProcessStartInfo("git", ["ls-files", "--cached", "--others", "--exclude-standard"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            WorkingDirectory = Root,
        })!;
        var text = git.StandardOutput.ReadToEnd();
        git.WaitForExit();
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(file => File.Exists(Path.Combine(Root, file)))];
    }
}
