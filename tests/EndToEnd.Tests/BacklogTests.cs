namespace Frusta.EndToEnd.Tests;

public sealed class BacklogTests
{
    [Fact]
    public async Task A_full_backlog_is_refused_at_once_with_a_time_to_come_back_and_nothing_accepted_is_lost()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(
            folder.Sub("data"), ["--Bus:MaxPendingItems=8", "--Bus:NamespaceSharePercent=100", "--Invoker:Pool:Memory=256"]);
        await server.PutActionAsync("slow", "function main(a) { return new Promise(done => setTimeout(() => done(a), 300)); }");
        var accepted = new List<string>();
        var refused = 0;

        while (refused == 0)
        {
            using var body = new StringContent("{}", System.Text.Encoding.UTF8, "application/json");
            using var answer = await server.Http.PostAsync("actions/slow", body, TestContext.Current.CancellationToken);
            if ((int)answer.StatusCode == 503)
            {
                refused++;
                Assert.True(answer.Headers.RetryAfter?.Delta > TimeSpan.Zero, "A 503 without Retry-After.");
            }
            else
            {
                Assert.Equal(202, (int)answer.StatusCode);
                accepted.Add(answer.Headers.GetValues("x-openwhisk-activation-id").Single());
                Assert.InRange(accepted.Count, 1, 1000);
            }
        }

        Assert.True(accepted.Count >= 8, $"Refused after {accepted.Count} already.");
        foreach (var id in accepted)
        {
            var record = await server.GetWhenThereAsync($"activations/{id}");
            Assert.Equal("success", record.GetProperty("response").GetProperty("status").GetString());
        }
    }
}
