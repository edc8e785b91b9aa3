using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Frusta.EndToEnd.Tests;

public sealed class StopTests
{
    [Fact]
    public async Task What_was_accepted_and_has_not_started_at_a_stop_runs_after_the_next_start()
    {
        using var folder = new TemporaryFolder();
        string[] flags = ["--Sandboxes:Driver=process", "--Server:DrainMs=1000", "--Invoker:Pool:Memory=300", "--Invoker:StemCells:nodejs:Count=0", "--Invoker:StemCells:python:Count=0"];
        var ids = new List<string>();
        await using (var server = await ServerProcess.StartAsync(folder.Sub("data"), flags))
        {
            await server.PutActionAsync("slow", "function main(a) { return new Promise(done => setTimeout(() => done({n: a.n}), a.n < 1 ? 60000 : 1)); }", limits: new { timeout = 120000, memory = 256 });
            for (var n = 0; n < 8; n++)
            {
                var (status, body) = await server.PostAsync("actions/slow", new { n }, TestContext.Current.CancellationToken);
                Assert.Equal(202, status);
                ids.Add(body.GetProperty("activationId").GetString()!);
            }

            server.Signal("TERM");
            Assert.Equal(0, await server.ExitAsync());
        }

        await using var next = await ServerProcess.StartAsync(folder.Sub("data"), flags);
        for (var n = 1; n < ids.Count; n++)
        {
            var record = await next.GetWhenThereAsync($"activations/{ids[n]}");
            Assert.Equal("success", record.GetProperty("response").GetProperty("status").GetString());
            Assert.Equal(n, record.GetProperty("response").GetProperty("result").GetProperty("n").GetInt32());
        }
    }

    [Fact]
    public async Task A_function_of_a_further_subject_cannot_act_as_another_namespace_with_the_keys_that_everybody_knows()
    {
        using var folder = new TemporaryFolder();
        var key = $"6c5b1f0e-0000-4000-8000-000000000001:{new string('k', 64)}";
        await using var server = await ServerProcess.StartAsync(
            folder.Sub("data"), environment: new Dictionary<string, string>(StringComparer.Ordinal) { ["FRUSTA_Subjects__zoe"] = key });
        server.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(key)));
        await server.PutActionAsync("ask", """
            async function main({ keys }) {
              const host = process.env.__OW_API_HOST;
              const ask = async key => (await fetch(host + '/api/v1/namespaces', { headers: { authorization: 'Basic ' + btoa(key) } })).status;
              return { host, statuses: await Promise.all(keys.map(ask)) };
            }
            """);

        var (status, body) = await server.PostAsync(
            "actions/ask?blocking=true&result=true", new { keys = (string[])[key, ServerProcess.GuestKey] }, TestContext.Current.CancellationToken);

        Assert.Equal(200, status);
        TestRun.Require(!body.GetProperty("host").GetString()!.StartsWith("http://127.", StringComparison.Ordinal), "Sandboxes have no network of their own here.");
        Assert.Contains("Server:AllowStockKeys=true", server.Output, StringComparison.Ordinal);
        Assert.Equal("[200,401]", JsonSerializer.Serialize(body.GetProperty("statuses")));
    }
}
