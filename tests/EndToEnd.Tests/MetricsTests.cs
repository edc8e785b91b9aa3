using System.Globalization;
using System.Text.RegularExpressions;

namespace Frusta.EndToEnd.Tests;

public sealed partial class MetricsTests
{
    [Fact]
    public async Task Metrics_count_what_was_answered_run_and_recorded()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        await server.PutActionAsync("counted", "function main(a) { return {}; }");

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(200, (await server.PostAsync("actions/counted?blocking=true", null, TestContext.Current.CancellationToken)).Status);
        }

        Assert.Equal(202, (await server.PostAsync("actions/counted", null, TestContext.Current.CancellationToken)).Status);
        Assert.Equal(404, (await server.PostAsync("actions/absent", null, TestContext.Current.CancellationToken)).Status);
        await StartTests.WaitForMetricAsync(server, "counter_bus_finished_total", static value => value >= 4);
        var metrics = await ReadAsync(server);

        Assert.Equal(3, metrics["counter_controller_blockingActivation_start_total"]);
        Assert.Equal(3, metrics["histogram_controller_blockingActivation_finish_seconds_count"]);
        Assert.Equal(1, metrics["counter_controller_activation_start_total"]);
        Assert.Equal(1, metrics["histogram_controller_activation_finish_seconds_count"]);
        Assert.Equal(4, metrics["counter_controller_kafka_start_total"]);
        Assert.Equal(4, metrics["counter_bus_accepted_total"]);
        Assert.Equal(4, metrics["counter_invoker_activation_start_total"]);
        Assert.Equal(4, metrics["counter_invoker_activationRun_start_total"]);
        Assert.Equal(4, metrics["counter_invoker_containerStart_counter_total{containerState=\"cold\"}"]
            + metrics["counter_invoker_containerStart_counter_total{containerState=\"prewarmed\"}"]
            + metrics["counter_invoker_containerStart_counter_total{containerState=\"warmed\"}"]);
        Assert.Equal(3, metrics["counter_http_post_counter_total{statusCode=\"200\"}"]);
        Assert.Equal(1, metrics["counter_http_post_counter_total{statusCode=\"202\"}"]);
        Assert.Equal(1, metrics["counter_http_post_counter_total{statusCode=\"404\"}"]);
        Assert.Equal(0, metrics["gauge_bus_pending"]);

        // Starts take some milliseconds at least and never minutes: the bounds of the buckets are of the values' unit.
        Assert.InRange(metrics["sandbox_start_seconds_count"], 1, double.MaxValue);
        Assert.Equal(0, metrics["sandbox_start_seconds_bucket{le=\"0.0005\"}"]);
        Assert.Equal(metrics["sandbox_start_seconds_count"], metrics["sandbox_start_seconds_bucket{le=\"60\"}"]);

        // Families that differ by one word in the middle are documented in one row.
        var documented = await File.ReadAllTextAsync(Path.Combine(Tree.Root, "docs", "reference", "metrics.md"), TestContext.Current.CancellationToken);
        var missing = metrics.Keys
            .Select(static name => Variable().Replace(Suffix().Replace(name.Split('{')[0], ""), "${group}"))
            .Where(name => !documented.Contains(name, StringComparison.Ordinal));
        Assert.Empty(missing);
    }

    [GeneratedRegex("_(bucket|sum|count)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Suffix();

    [GeneratedRegex("^(?<group>(counter|histogram)_(http|database)_).*$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Variable();

    private static async Task<Dictionary<string, double>> ReadAsync(ServerProcess server)
    {
        var text = await server.Http.GetStringAsync($"http://127.0.0.1:{server.Port}/metrics", TestContext.Current.CancellationToken);
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n').Where(static line => line.Length > 0 && line[0] != '#'))
        {
            var space = line.LastIndexOf(' ');
            metrics[line[..space]] = double.Parse(line[(space + 1)..], CultureInfo.InvariantCulture);
        }

        return metrics;
    }
}
