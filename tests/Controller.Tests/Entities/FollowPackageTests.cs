using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Store.Entities;

namespace Frusta.Controller.Tests.Entities;

public sealed class FollowPackageTests
{
    private static readonly Dictionary<string, EntityDocument?> Stored = new(StringComparer.Ordinal)
    {
        ["acme/plain"] = Package("plain", null),
        ["acme/bound"] = Package("bound", "plain"),
        ["acme/twice"] = Package("twice", "bound"),
        ["acme/to-nothing"] = Package("to-nothing", "nothing"),
        ["acme/to-trigger"] = Package("to-trigger", "trigger"),
        ["acme/to-broken"] = Package("to-broken", "broken"),
        ["acme/trigger"] = new TriggerDocument
        {
            Name = new FullyQualifiedName("acme", null, "trigger"),
            Version = "0.0.1",
            Publish = false,
            Annotations = [],
            Parameters = [],
            UpdatedMs = 1,
            Revision = "1-a",
        },
        ["acme/broken"] = null,
    };

    [Theory]
    [InlineData("plain", ResolveOutcome.Found, ResolveOutcome.Found, "acme/plain/action")]
    [InlineData("bound", ResolveOutcome.Found, ResolveOutcome.Found, "acme/plain/action")]
    [InlineData("twice", ResolveOutcome.Found, ResolveOutcome.Found, "acme/bound/action")]
    [InlineData("nothing", ResolveOutcome.NotFound, ResolveOutcome.Found, null)]
    [InlineData("trigger", ResolveOutcome.OtherCollection, ResolveOutcome.Found, null)]
    [InlineData("broken", ResolveOutcome.Corrupt, ResolveOutcome.Found, null)]
    [InlineData("to-nothing", ResolveOutcome.Found, ResolveOutcome.NotFound, "acme/nothing/action")]
    [InlineData("to-trigger", ResolveOutcome.Found, ResolveOutcome.OtherCollection, "acme/trigger/action")]
    [InlineData("to-broken", ResolveOutcome.Found, ResolveOutcome.Corrupt, "acme/broken/action")]
    public async Task The_way_through_a_package_tells_where_it_ended(string package, ResolveOutcome outcome, ResolveOutcome provider, string? place)
    {
        var followed = await FollowPackage.FollowAsync(ReadAsync, $"acme/{package}", TestContext.Current.CancellationToken);

        Assert.Equal((outcome, provider), (followed.Outcome, followed.ProviderOutcome));
        Assert.Equal(outcome == ResolveOutcome.Found ? provider : outcome, followed.End);
        Assert.Equal(place, followed.Package is null ? null : followed.PlaceOf("action").DocumentId);
    }

    private static ValueTask<EntityDocument?> ReadAsync(string documentId, CancellationToken cancellationToken) => !Stored.TryGetValue(documentId, out var stored)
        ? default
        : stored is null ? ValueTask.FromException<EntityDocument?>(new CorruptEntityException(documentId)) : new(stored);

    private static PackageDocument Package(string name, string? boundTo) => new()
    {
        Name = new FullyQualifiedName("acme", null, name),
        Version = "0.0.1",
        Publish = false,
        Annotations = [],
        Parameters = [],
        Binding = boundTo is null ? null : new FullyQualifiedName("acme", null, boundTo),
        UpdatedMs = 1,
        Revision = "1-a",
    };
}
