using System.Text;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Tests.Entities;

/// <summary>The facts of an action are the same, whether a controller or an invoker has read the document.</summary>
public sealed class ExecutableActionTests
{
    [Theory]
    [InlineData("provide-api-key", "true", true)]
    [InlineData("provide-api-key", "false", false)]
    [InlineData("provide-api-key", "null", false)]
    [InlineData("provide-api-key", "0", false)]
    [InlineData("provide-api-key", "0.0", false)]
    [InlineData("provide-api-key", "1e400", true)]
    [InlineData("provide-api-key", "\"\"", false)]
    [InlineData("provide-api-key", "\"false\"", true)]
    [InlineData("provide-api-key", "{}", true)]
    [InlineData("provide-api-key", "[]", true)]
    [InlineData("another", "false", true)]
    public void The_key_is_provided_by_truth_or_absence(string key, string value, bool provided) =>
        Assert.Equal(provided, Of((key, value)).ProvideApiKey);

    [Theory]
    [InlineData("\"none\"", false)]
    [InlineData("\"egress\"", true)]
    [InlineData("null", true)]
    public void The_network_is_allowed_unless_it_is_none(string value, bool allowed) => Assert.Equal(allowed, Of(("network", value)).AllowNetwork);

    [Theory]
    [InlineData("3", 3)]
    [InlineData("-3", 0)]
    [InlineData("3.5", 0)]
    [InlineData("\"3\"", 0)]
    [InlineData("99999999999", 0)]
    [InlineData("true", 0)]
    public void Retries_are_a_count_or_none(string value, int retries) => Assert.Equal(retries, Of(("retries", value)).Retries);

    [Fact]
    public void Of_annotations_with_the_same_key_the_last_counts()
    {
        var action = Of(("provide-api-key", "true"), ("network", "\"none\""), ("retries", "1"), ("retries", "2"), ("provide-api-key", "false"), ("network", "null"));
        Assert.Equal((false, true, 2), (action.ProvideApiKey, action.AllowNetwork, action.Retries));
    }

    private static ExecutableAction Of(params (string Key, string Value)[] annotations) => ExecutableAction.From(new ActionDocument
    {
        Name = new FullyQualifiedName("guest", null, "hello"),
        Version = "0.0.1",
        UpdatedMs = 0,
        Exec = new ActionExec("nodejs:20"),
        Annotations = [.. annotations.Select(static pair => new KeyValue(pair.Key, Encoding.UTF8.GetBytes(pair.Value)))],
    });
}
