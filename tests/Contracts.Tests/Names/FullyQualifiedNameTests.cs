using Frusta.Contracts.Names;

namespace Frusta.Contracts.Tests.Names;

public sealed class FullyQualifiedNameTests
{
    [Theory]
    [InlineData("/guest/hello", "guest", null, "hello")]
    [InlineData("guest/hello", "guest", null, "hello")]
    [InlineData("/guest/tools/hello", "guest", "tools", "hello")]
    [InlineData("//guest//tools/hello/", "guest", "tools", "hello")]
    [InlineData("/guest/a/b/hello", "guest", "a/b", "hello")]
    public void A_path_of_two_segments_and_more_is_a_name(string path, string root, string? package, string name) =>
        Assert.Equal(new FullyQualifiedName(root, package, name), FullyQualifiedName.Parse(path));

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("hello")]
    [InlineData("/hello/")]
    public void A_path_of_fewer_is_none(string path) => Assert.Null(FullyQualifiedName.Parse(path));

    [Theory]
    [InlineData("guest", null)]
    [InlineData("guest/tools", "tools")]
    [InlineData("guest/a/b", "a/b")]
    public void A_name_in_a_path_has_the_package_of_the_path(string path, string? package)
    {
        var name = FullyQualifiedName.In(path, "hello");
        Assert.Equal(new FullyQualifiedName("guest", package, "hello"), name);
        Assert.Equal((path, name), (name.Path, FullyQualifiedName.Parse(name.DocumentId)));
    }
}
