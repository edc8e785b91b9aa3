namespace Frusta.EndToEnd.Tests;

/// <summary>Servers that are killed, or asked to end, while they start.</summary>
public sealed class InterruptedStartTests
{
    /// <summary>Its first start, the start after it, and the cleaning up after both are cut off anywhere.</summary>
    [Theory]
    [InlineData("auto")]
    [InlineData("process")]
    public async Task Servers_that_were_killed_while_they_started_do_not_keep_the_next_from_it(string driver)
    {
        using var folder = new TemporaryFolder();
        var run = folder.Sub("r");
        string[] flags = ["--Sandboxes:Driver=" + driver, "--Sandboxes:RunFolder=" + run];
        for (var kill = 0; kill < 12; kill++)
        {
            await ServerProcess.KillWhileItStartsAsync(folder.Sub("data"), flags, TimeSpan.FromMilliseconds(Random.Shared.Next(100, 900)));
        }

        await using (var server = await ServerProcess.StartAsync(folder.Sub("data"), flags))
        {
            Assert.DoesNotContain("cannot be cleaned up after", server.Output, StringComparison.Ordinal);
            Assert.Single(Directory.GetDirectories(run));
        }

        Assert.Empty(Directory.GetDirectories(run));
    }

    [Theory]
    [InlineData("auto")]
    [InlineData("process")]
    public async Task A_server_that_is_asked_to_end_while_it_starts_ends_in_good_order_and_leaves_nothing(string driver)
    {
        const int before = 128 + 15; // the signal itself ends a program that does not know yet that it is asked
        using var folder = new TemporaryFolder();
        var run = folder.Sub("r");
        for (var time = 50; time < 1200; time += 90)
        {
            var (exitCode, output) = await ServerProcess.EndWhileItStartsAsync(
                folder.Sub("data"), ["--Sandboxes:Driver=" + driver, "--Sandboxes:RunFolder=" + run], TimeSpan.FromMilliseconds(time));

            Assert.True(exitCode is 0 or before, $"{exitCode} after {time} ms: {output}");
            Assert.Empty(Directory.Exists(run) ? Directory.GetDirectories(run) : []);
        }
    }
}
