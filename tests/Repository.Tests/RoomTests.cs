using System.Xml.Linq;

namespace Frusta.Repository.Tests;

/// <summary>Who may refer to whom: the picture in ARCHITECTURE.md, kept true by reading the project files.</summary>
public sealed class RoomTests
{
    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Contracts"] = [],
        ["Journal"] = ["Contracts"],
        ["Bus"] = ["Contracts", "Journal"],
        ["Store"] = ["Contracts", "Journal"],
        ["Sandboxes"] = ["Contracts", "Sockets"],
        ["Sockets"] = [],
        ["Runtimes"] = ["Contracts", "Sandboxes", "Sockets"],
        ["Controller"] = ["Contracts", "Store", "Bus"],
        ["Invoker"] = ["Contracts", "Store", "Bus", "Sandboxes", "Runtimes"],
        ["Server"] = ["Contracts", "Journal", "Bus", "Store", "Sandboxes", "Sockets", "Runtimes", "Controller", "Invoker"],
    };

    public static TheoryData<string> Rooms() => [.. Tree.Files
        .Where(file => file.StartsWith("src/", StringComparison.Ordinal) && file.EndsWith(".csproj", StringComparison.Ordinal))
        .Select(file => Path.GetFileNameWithoutExtension(file))];

    [Theory]
    [MemberData(nameof(Rooms))]
    public void A_room_refers_only_to_the_rooms_that_the_picture_allows(string room)
    {
        Assert.True(Allowed.ContainsKey(room), $"{room} is not in the picture: add it here and in ARCHITECTURE.md.");
        var references = XDocument.Parse(Tree.Read($"src/{room}/{room}.csproj"))
            .Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));

        Assert.Empty(references.Except(Allowed[room], StringComparer.Ordinal));
    }

    /// <summary>A framework goes with every project that refers to a project with it, however far away.</summary>
    [Theory]
    [InlineData("Contracts")]
    [InlineData("Journal")]
    [InlineData("Bus")]
    [InlineData("Store")]
    public void A_room_that_serves_no_requests_needs_no_ASP_NET(string room)
    {
        foreach (var each in Allowed[room].Append(room))
        {
            Assert.Empty(XDocument.Parse(Tree.Read($"src/{each}/{each}.csproj")).Descendants("FrameworkReference"));
        }
    }

    [Fact]
    public void Contracts_does_no_input_or_output()
    {
        var offenders = Tree.Files
            .Where(file => file.StartsWith("src/Contracts/", StringComparison.Ordinal) && file.EndsWith(".cs", StringComparison.Ordinal))
            .Where(file => Tree.Read(file) is var text
                && (text.Contains("System.Net.", StringComparison.Ordinal) || text.Contains("File.", StringComparison.Ordinal) || text.Contains("Socket", StringComparison.Ordinal)));

        Assert.Empty(offenders);
    }
}
