using Frusta.Sandboxes;
using Frusta.Server.Roles;
using Frusta.Server.Tests.Configuration;

namespace Frusta.Server.Tests.Roles;

public sealed class StartScreenTests
{
    private static readonly StartFacts Facts = new(
        "1.2.3", 4000, ShowsGuestKey: true, "/data", [], new IsolationReport(["files."], [], ["the network"]), ["nodejs:20", "python:3.11"], [], TimeSpan.FromSeconds(1.234));

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1:4000")]
    [InlineData("0.0.0.0", "127.0.0.1:4000")]
    [InlineData("::1", "[::1]:4000")]
    public void The_address_is_where_this_host_reaches_it(string host, string shown)
    {
        var screen = Show(Facts, "--host", host);

        Assert.Contains($"  API host  http://{shown}\n", screen, StringComparison.Ordinal);
        Assert.Contains($"--apihost http://{shown} --auth 23bc46b1-", string.Join(' ', screen.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal); // lines are broken anywhere
    }

    [Fact]
    public void The_guest_s_key_is_shown_only_where_it_is_let_in()
    {
        var screen = Show(Facts with { ShowsGuestKey = false });

        Assert.DoesNotContain("23bc46b1-", screen, StringComparison.Ordinal);
        Assert.Contains("--auth UUID:KEY\n", screen, StringComparison.Ordinal);
        Assert.Contains("FRUSTA_Subjects__NAME=UUID:KEY", screen, StringComparison.Ordinal);
    }

    [Fact]
    public void A_row_joins_its_facts_and_one_without_facts_is_left_out()
    {
        var screen = Show(Facts);

        Assert.Contains("  Frusta 1.2.3, standalone\n", screen, StringComparison.Ordinal);
        Assert.Contains("  Isolates  files.\n", screen, StringComparison.Ordinal);
        Assert.Contains("  Without   the network.\n", screen, StringComparison.Ordinal);
        Assert.Contains("  Runs      nodejs:20; python:3.11.\n", screen, StringComparison.Ordinal);
        Assert.DoesNotContain("Found", screen, StringComparison.Ordinal);
        Assert.Contains("  Ready after 1.23 s.", screen, StringComparison.Ordinal);
    }

    [Fact]
    public void A_long_row_is_broken_between_words_and_goes_on_below_its_first_word()
    {
        var screen = Show(Facts with { Connections = [string.Join(' ', Enumerable.Repeat("connections", 20))] });

        var lines = screen.Split('\n').SkipWhile(static line => !line.StartsWith("  Takes", StringComparison.Ordinal)).TakeWhile(static line => line.Contains("connections", StringComparison.Ordinal)).ToArray();
        Assert.Equal(3, lines.Length);
        Assert.All(lines, static line => Assert.InRange(line.Length, 12, 110));
        Assert.All(lines[1..], static line => Assert.StartsWith("            connections", line, StringComparison.Ordinal));
    }

    private static string Show(StartFacts facts, params string[] flags)
    {
        using var output = new StringWriter();
        StartScreen.Print(output, Typed.Options(flags), facts);
        return output.ToString();
    }
}
