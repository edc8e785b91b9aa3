using System.Text.RegularExpressions;

namespace Frusta.Repository.Tests;

/// <summary>Arrows between the folders of a room run one way: no folder names a type of a folder that names one of its own, directly or around corners.</summary>
/// <remarks>A type is taken by its name, in the namespaces that a file sees. A name that two folders declare counts for neither.</remarks>
public sealed partial class FolderTests
{
    private const int MostMilliseconds = 10_000;

    private static readonly Dictionary<string, Source> Sources = Tree.Files
        .Where(static file => file.StartsWith("src/", StringComparison.Ordinal) && file.EndsWith(".cs", StringComparison.Ordinal))
        .ToDictionary(static file => file, static file => Source.Of(file, Tree.Read(file)), StringComparer.Ordinal);

    private static readonly ILookup<string, Source> Homes = Sources.Values
        .SelectMany(static source => source.Declared.Select(name => (name, source)))
        .ToLookup(static pair => pair.name, static pair => pair.source, StringComparer.Ordinal);

    [Fact]
    public void No_folder_is_in_a_circle()
    {
        var arrows = Sources.Values.SelectMany(Arrows).Distinct().ToLookup(static arrow => arrow.From, StringComparer.Ordinal);
        var inCircles = arrows.SelectMany(static from => from).Where(arrow => Reaches(arrows, arrow.To, arrow.From));
        Assert.Equal("", string.Join('\n', inCircles.Select(static arrow => $"{arrow.From} -> {arrow.To} ({arrow.By})").Order(StringComparer.Ordinal)));
    }

    /// <summary>Else the test above would pass with a reader that reads nothing.</summary>
    [Fact]
    public void Arrows_are_read()
    {
        var arrows = Sources.Values.SelectMany(Arrows).Select(static arrow => (arrow.From, arrow.To)).ToHashSet();
        Assert.Contains(("src/Sandboxes/Bubblewrap", "src/Sandboxes/Network"), arrows);
        Assert.Contains(("src/Controller/Api", "src/Controller/Invocation"), arrows);
        Assert.Contains(("src/Server/Roles", "src/Server/Parts"), arrows);
        Assert.DoesNotContain(("src/Server/Doors", "src/Server/Parts"), arrows);
        Assert.Contains(("src/Runtimes/Families", "src/Runtimes/Frames"), arrows);
        Assert.Contains(("src/Runtimes/Frames", "src/Runtimes/Output"), arrows);
        Assert.DoesNotContain(("src/Sandboxes/Processes", "src/Sandboxes/Network"), arrows);
    }

    private static bool Reaches(ILookup<string, Arrow> arrows, string from, string to)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var next = new Stack<string>([from]);
        while (next.TryPop(out var folder))
        {
            foreach (var arrow in arrows[folder])
            {
                if (string.Equals(arrow.To, to, StringComparison.Ordinal))
                {
                    return true;
                }

                if (seen.Add(arrow.To))
                {
                    next.Push(arrow.To);
                }
            }
        }

        return false;
    }

    private static IEnumerable<Arrow> Arrows(Source source)
    {
        foreach (var name in source.Named)
        {
            Source[] declaring = [.. Homes[name].Where(home => source.Sees.Contains(home.Space)).Distinct()];
            if (declaring.Length == 1 && !string.Equals(declaring[0].Folder, source.Folder, StringComparison.Ordinal))
            {
                yield return new Arrow(source.Folder, declaring[0].Folder, $"{Path.GetFileName(source.File)}: {name}");
            }
        }
    }

    [GeneratedRegex(@"//[^\n]*|/\*.*?\*/|"""""".*?""""""|\$?@?""(?:\\.|[^""\\\n])*""", RegexOptions.Singleline, MostMilliseconds)]
    private static partial Regex CommentsAndTexts();

    [GeneratedRegex(@"\b(class|struct|interface|enum|record(\s+struct|\s+class)?)\s+(?<name>[A-Z]\w+)|\bdelegate\s+[\w<>?\[\], .]+\s+(?<name>[A-Z]\w+)\s*\(", RegexOptions.ExplicitCapture, MostMilliseconds)]
    private static partial Regex Declarations();

    [GeneratedRegex(@"^namespace\s+(?<name>[\w.]+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture, MostMilliseconds)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^using\s+(?<name>[\w.]+);", RegexOptions.Multiline | RegexOptions.ExplicitCapture, MostMilliseconds)]
    private static partial Regex Usings();

    [GeneratedRegex(@"^(using|namespace)[^\n]*", RegexOptions.Multiline | RegexOptions.ExplicitCapture, MostMilliseconds)]
    private static partial Regex Heads();

    [GeneratedRegex(@"(?<![.\w])[A-Z]\w+\b", RegexOptions.None, MostMilliseconds)]
    private static partial Regex Names();

    private sealed record Arrow(string From, string To, string By);

    private sealed record Source(string File, string Folder, string Space, HashSet<string> Sees, HashSet<string> Declared, HashSet<string> Named)
    {
        internal static Source Of(string file, string text)
        {
            text = CommentsAndTexts().Replace(text, "\"\"");
            var space = Name(Namespace().Match(text));
            var parts = space.Split('.');
            var sees = Enumerable.Range(1, parts.Length).Select(count => string.Join('.', parts[..count])).Concat(Usings().Matches(text).Select(Name));
            var declared = Declarations().Matches(text).Select(Name);
            var named = Names().Matches(Heads().Replace(text, "")).Select(static match => match.Value);
            return new Source(file, Path.GetDirectoryName(file)!, space, [.. sees], [.. declared], [.. named]);

            static string Name(Match match) => match.Groups["name"].Value;
        }
    }
}
