namespace Frusta.EndToEnd.Tests;

/// <summary>Where things are in the tree that the tests were built from.</summary>
internal static class Tree
{
    public static string Root { get; } = FindRoot();

    public static string Program => Path.Combine(Root, "artifacts", "bin", "Server", "release", "frusta.dll");

    public static bool InCi => string.Equals(Environment.GetEnvironmentVariable("CI"), "true", StringComparison.Ordinal);

    /// <summary>True with <c>./test --all</c>.</summary>
    public static bool LongTestsToo => Environment.GetEnvironmentVariable("FRUSTATEST_ALL") is "1";

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Frusta.slnx")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run from within the tree.");
        }

        return folder;
    }
}
