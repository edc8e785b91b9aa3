using System.Text.Json;

namespace Frusta.EndToEnd.Tests;

/// <summary>An action that is updated all the time: every call runs it as it was at some moment of the call.</summary>
public sealed class UpdateTests
{
    private const int Callers = 4;
    private const int LeastUpdates = 20;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(30);

    private static int Calls => TestRun.LongTestsToo ? 600 : 60;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_during_updates_run_the_action_as_it_was_at_some_moment_of_the_call()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        await CallDuringAsync(server, "hot", n => server.PutActionAsync("hot", CodeOf(n)));
    }

    [Fact]
    public async Task Calls_during_updates_of_package_and_binding_have_their_parameters_as_they_were_at_some_moment_of_the_call()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        await server.PutAsync("packages/p", new { });
        await server.PutActionAsync("p/hot", "function main(a) { return {n: a.n}; }");
        await CallDuringAsync(server, "bound/hot", async n =>
        {
            await server.PutAsync("packages/p?overwrite=true", new { parameters = new[] { new { key = "m", value = n } } });
            await server.PutAsync(
                "packages/bound?overwrite=true", new { binding = new { @namespace = "_", name = "p" }, parameters = new[] { new { key = "n", value = n } } });
        });
    }

    /// <summary>The 202s are of an action that exists when they are given; it is deleted and made again while they wait.</summary>
    [Fact]
    public async Task What_was_accepted_runs_although_its_action_is_deleted_and_made_again_meanwhile()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        using var done = new CancellationTokenSource();
        var making = Task.Run(
            async () =>
            {
                for (var n = 0; !done.IsCancellationRequested; n++)
                {
                    await server.PutActionAsync("again", CodeOf(n));
                    await Task.Delay(Interval, TimeProvider.System, Cancellation);
                    using var deleted = await server.Http.DeleteAsync("actions/again", Cancellation);
                    Assert.True(deleted.IsSuccessStatusCode);
                }
            },
            Cancellation);

        var accepted = new List<string>();
        while (accepted.Count < Calls)
        {
            var (status, body) = await server.PostAsync("actions/again", cancellationToken: Cancellation);
            Assert.Contains(status, (int[])[202, 404]);
            if (status == 202)
            {
                accepted.Add(body.GetProperty("activationId").GetString()!);
            }
        }

        await done.CancelAsync();
        await making;
        foreach (var id in accepted)
        {
            var record = await server.GetWhenThereAsync($"activations/{id}");
            Assert.True(record.GetProperty("response").GetProperty("success").GetBoolean(), record.GetRawText());
        }
    }

    /// <summary>After the restart the revision that was accepted is there no more.</summary>
    [Fact]
    public async Task What_waits_in_the_backlog_over_a_restart_runs_the_action_as_it_is_then()
    {
        using var folder = new TemporaryFolder();
        var accepted = new List<string>();
        await using (var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--Invoker:Pool:Memory=256"]))
        {
            await server.PutActionAsync("busy", "function main() { return new Promise(done => setTimeout(done, 50000)); }");
            await server.PutActionAsync("hot", CodeOf(1));
            for (var i = 0; i < 2; i++)
            {
                await server.PostAsync("actions/busy", cancellationToken: Cancellation);
            }

            await StartTests.WaitForMetricAsync(server, "gauge_containerPool_activeCount_counter", value => value >= 1);
            for (var i = 0; i < 5; i++)
            {
                var (status, body) = await server.PostAsync("actions/hot", cancellationToken: Cancellation);
                Assert.Equal(202, status);
                accepted.Add(body.GetProperty("activationId").GetString()!);
            }

            await server.PutActionAsync("hot", CodeOf(2));
            await server.KillAsync();
        }

        await using var next = await ServerProcess.StartAsync(folder.Sub("data"), ["--Server:DrainMs=0"]); // the busy one that waited, too, runs now: its end is not waited for
        foreach (var id in accepted)
        {
            var record = await next.GetWhenThereAsync($"activations/{id}");
            Assert.True(record.GetProperty("response").GetProperty("success").GetBoolean(), record.GetRawText());
            Assert.InRange(record.GetProperty("response").GetProperty("result").GetProperty("n").GetInt32(), 1, 2);
        }
    }

    private static string CodeOf(int n) => $"function main() {{ return {{n: {n}}}; }}";

    /// <summary>One updates, others call: each answer has a number that was written last when its call began, or later, and no later than its end.</summary>
    private static async Task CallDuringAsync(ServerProcess server, string action, Func<int, Task> update)
    {
        int written = 0, begun = 0;
        await update(0);
        using var done = new CancellationTokenSource();
        var updating = Task.Run(
            async () =>
            {
                while (!done.IsCancellationRequested)
                {
                    await update(Interlocked.Increment(ref begun));
                    Volatile.Write(ref written, begun);
                    await Task.Delay(Interval, TimeProvider.System, Cancellation);
                }
            },
            Cancellation);

        await Task.WhenAll(Enumerable.Range(0, Callers).Select(async _ =>
        {
            for (var call = 0; call < Calls / Callers || Volatile.Read(ref written) < LeastUpdates; call++)
            {
                var least = Volatile.Read(ref written);
                var (status, body) = await server.PostAsync($"actions/{action}?blocking=true&result=true", cancellationToken: Cancellation);
                Assert.True(status == 200, $"{status}: {(body.ValueKind == JsonValueKind.Undefined ? "" : body.GetRawText())}");
                Assert.InRange(body.GetProperty("n").GetInt32(), least, Volatile.Read(ref begun));
            }
        }));
        await done.CancelAsync();
        await updating;
    }
}
