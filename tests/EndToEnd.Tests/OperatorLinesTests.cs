namespace Frusta.EndToEnd.Tests;

/// <summary>The log as an operator reads it, who has an activation id or the code of an answer in hand.</summary>
public sealed class OperatorLinesTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_call_has_a_line_at_each_stage_with_its_id_and_an_answer_is_found_by_its_code()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--Server:LogLevel=Debug", "--Server:LogRequests=true"]);
        await server.PutActionAsync("told", "function main(a) { return {}; }");

        var called = await server.PostAsync("actions/told?blocking=true", null, Cancelled);
        var accepted = await server.PostAsync("actions/told", null, Cancelled);
        var (_, missing) = await server.PostAsync("actions/absent", null, Cancelled);
        var id = called.Body.GetProperty("activationId").GetString()!;
        var acceptedId = accepted.Body.GetProperty("activationId").GetString()!;
        await Eventually.TrueAsync(() => server.Output.Contains($"Activation {acceptedId}: ended", StringComparison.Ordinal));

        Assert.Equal("composed ended ended its received sent starts", Stages(server, id));
        Assert.Equal("accepted composed ended ended received sent starts", Stages(server, acceptedId));
        Assert.Matches($@"POST /api/v1/namespaces/_/actions/absent: 404 after \d+ ms \(transaction {missing.GetProperty("code").GetString()}\)", server.Output);
    }

    [Fact]
    public async Task Requests_are_not_told_one_by_one_unless_asked_for_and_refusals_in_one_line()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--Server:LogLevel=Trace", "--Limits:InvocationsPerMinute=1"]);
        await server.PutActionAsync("told", "function main(a) { return {}; }");
        for (var i = 0; i < 20; i++)
        {
            await server.PostAsync("actions/told?blocking=true", null, Cancelled);
        }

        await Eventually.TrueAsync(() => server.Output.Contains("Answered 429", StringComparison.Ordinal));
        Assert.DoesNotContain(": 200 after", server.Output, StringComparison.Ordinal);
        Assert.InRange(server.Output.Split("Answered 429").Length - 1, 1, 2);
    }

    /// <summary>The words after the id in the lines of the activation.</summary>
    private static string Stages(ServerProcess server, string id) => string.Join(
        ' ', server.Output.Split($"Activation {id}: ").Skip(1).Select(static rest => rest.Split(' ', ',')[0]).Order(StringComparer.Ordinal));
}
