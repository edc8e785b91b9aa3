namespace Frusta.EndToEnd.Tests;

public sealed class ChangedActionTests
{
    private const string Idle = "gauge_containerPool_idlesCount_counter";
    private const string Burning = "function main() { setInterval(() => { for (const end = Date.now() + 50; Date.now() < end;); }, 60); return {}; }";

    [Fact]
    public async Task The_idle_sandbox_of_an_action_that_is_replaced_or_deleted_ends_long_before_its_time()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        await server.PutActionAsync("changing", Burning);
        await CallAsync(server);
        await StartTests.WaitForMetricAsync(server, Idle, static value => value == 1);

        await server.PutActionAsync("changing", "function main() { return {}; }");
        await StartTests.WaitForMetricAsync(server, Idle, static value => value == 0);
        await CallAsync(server);
        await StartTests.WaitForMetricAsync(server, Idle, static value => value == 1);

        using var deleted = await server.Http.DeleteAsync("actions/changing", TestContext.Current.CancellationToken);
        Assert.True(deleted.IsSuccessStatusCode);
        await StartTests.WaitForMetricAsync(server, Idle, static value => value == 0);
    }

    [Fact]
    public async Task What_burns_a_core_after_its_run_is_paused_and_the_next_call_resumes_it()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        await server.PutActionAsync("changing", Burning);
        Assert.SkipUnless(server.Output.Contains("idle ones stand still", StringComparison.Ordinal), "This host has no freezer.");
        await CallAsync(server);
        await StartTests.WaitForMetricAsync(server, "sandbox_paused", static value => value == 1);
        await CallAsync(server);
        await StartTests.WaitForMetricAsync(server, "sandbox_resumes_total", static value => value == 1);
    }

    private static async Task CallAsync(ServerProcess server) =>
        Assert.Equal(200, (await server.PostAsync("actions/changing?blocking=true", null, TestContext.Current.CancellationToken)).Status);
}
