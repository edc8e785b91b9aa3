using System.Text.Json;
using Frusta.Controller.Tests.Entities;

namespace Frusta.Controller.Tests.Api;

/// <summary>A bug is answered as one, whatever it throws: the client is not told that its request was wrong, and does not read the words of an exception.</summary>
public sealed class UnexpectedFailureTests
{
    [Theory]
    [InlineData(typeof(InvalidOperationException))]
    [InlineData(typeof(ArgumentException))]
    [InlineData(typeof(JsonException))]
    public async Task A_bug_in_a_put_is_an_internal_error_with_the_code_of_the_request(Type bug)
    {
        using var api = new TestApi(new MemoryStore { Bug = (Exception)Activator.CreateInstance(bug)! });

        var (status, answer) = await api.SendAsync("PUT", "triggers/t", "{}");

        Assert.Equal((500, "There was an internal server error."), (status, (string?)answer!["error"]));
        Assert.NotEmpty((string?)answer["code"] ?? "");
    }
}
