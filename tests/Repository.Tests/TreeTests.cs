using System.Text.RegularExpressions;

namespace Frusta.Repository.Tests;

/// <summary>Rules of the tree that no compiler checks.</summary>
public sealed partial class TreeTests
{
    private static readonly string[] TextFiles = [".cs", ".md", ".js", ".py", ".sh", ".json", ".csproj", ".props", ".slnx"];

    [Fact]
    public void Nothing_in_the_tree_is_unfinished_by_its_own_words()
    {
        // Put together here, so that this file does not find itself.
        string[] words = ["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Exception"];

        var found = Ours().Where(file => words.Any(word => Tree.Read(file).Contains(word, StringComparison.Ordinal)));

        Assert.Empty(found);
    }

    [Fact]
    public void The_project_speaks_of_itself_alone()
    {
        string[] words = ["/wo" + "rk/", ".lib" + "rary", "Cla" + "ude"];

        var found = Ours().Where(file => words.Any(word => Tree.Read(file).Contains(word, StringComparison.Ordinal)));

        Assert.Empty(found);
    }

    [Fact]
    public void Links_between_documents_lead_somewhere()
    {
        var broken = new List<string>();
        foreach (var file in Tree.Files.Where(file => file.EndsWith(".md", StringComparison.Ordinal)))
        {
            var folder = Path.GetDirectoryName(Path.Combine(Tree.Root, file))!;
            foreach (var target in Link().Matches(Tree.Read(file)).Select(match => match.Groups["target"].Value))
            {
                var path = target.Split('#')[0];
                if (path.Length > 0 && !path.Contains("://", StringComparison.Ordinal) && !Path.Exists(Path.Combine(folder, path)))
                {
                    broken.Add($"{file}: {target}");
                }
            }
        }

        Assert.Empty(broken);
    }

    private static IEnumerable<string> Ours() => Tree.Files.Where(file =>
        (TextFiles.Contains(Path.GetExtension(file), StringComparer.Ordinal) || file is "run" or "test" or ".ci/run")
        && !file.StartsWith("tests/Compatibility/", StringComparison.Ordinal)
        && !file.EndsWith("package-lock.json", StringComparison.Ordinal));

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Link();
}
