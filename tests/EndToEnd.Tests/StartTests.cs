using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Frusta.EndToEnd.Tests;

public sealed partial class StartTests
{
    [Fact]
    public async Task A_data_folder_in_use_is_refused_in_words()
    {
        using var folder = new TemporaryFolder();
        await using var first = await ServerProcess.StartAsync(folder.Sub("data"));

        var (exitCode, output) = await ServerProcess.RefusedAsync(folder.Sub("data"), []);

        Assert.Equal(1, exitCode);
        Assert.Contains("in use by another server", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--Limits:InvocationsPerMinute=many", 1, "frusta: Limits:InvocationsPerMinute must be from 0 to 2147483647, but it is 'many'.")]
    [InlineData("--Subjects:zoe=uuid:letmein99", 2, "frusta: '--Subjects:zoe' would show a secret")]
    public async Task A_wrong_flag_is_refused_before_anything_is_made(string flag, int expected, string words)
    {
        using var folder = new TemporaryFolder();

        var (exitCode, output) = await ServerProcess.RefusedAsync(folder.Sub("data"), [flag]);

        Assert.Equal(expected, exitCode);
        Assert.Contains(words, output, StringComparison.Ordinal);
        Assert.DoesNotContain("letmein99", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder.Sub("data")));
    }

    [Fact]
    public async Task A_file_with_secrets_that_others_may_read_is_named_on_the_start_screen()
    {
        const UnixFileMode shared = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        using var folder = new TemporaryFolder();
        var file = folder.Sub("frusta.json");
        await File.WriteAllTextAsync(file, """{"Controller": {"Info": {"OperatorName": "op", "OperatorPassword": "letmein99"}}}""", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(file, shared);

        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--config", file]);

        Assert.Contains("chmod 600", string.Join(' ', server.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal); // lines are broken anywhere
        Assert.DoesNotContain("letmein99", server.Output, StringComparison.Ordinal);
    }

    /// <summary>The interpreter here tells what it was given in its environment, also when it is only asked for its version.</summary>
    [Fact]
    public async Task No_program_that_the_server_starts_has_its_secrets_in_the_environment()
    {
        using var folder = new TemporaryFolder();
        var given = folder.Sub("given");
        var node = folder.Sub("node");
        await File.WriteAllTextAsync(node, $"#!/bin/sh\nenv >>'{given}'\nexec node \"$@\"\n", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(node, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["FRUSTA_Subjects__zoe"] = "0d1a7c52-6a0e-4d7c-9c43-6f2f8f2d7a10:" + new string('k', 64),
            ["FRUSTA_Controller__Info__OperatorName"] = "op",
            ["FRUSTA_Controller__Info__OperatorPassword"] = "letmein99",
            ["FRUSTA_Server__DrainMs"] = "1000",
        };
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--Sandboxes:Driver=process", $"--Runtimes:NodePath={node}"], environment);
        await server.PutActionAsync("tell", "function main() { return process.env; }");

        var (status, variables) = await server.PostAsync("actions/tell?blocking=true&result=true", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(200, status);
        foreach (var environmentOfChild in (string[])[variables.GetRawText(), await File.ReadAllTextAsync(given, TestContext.Current.CancellationToken)])
        {
            Assert.DoesNotContain("letmein99", environmentOfChild, StringComparison.Ordinal);
            Assert.DoesNotContain("kkkkkkkk", environmentOfChild, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_environments_list_is_used_instead_of_the_files()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(
            folder.Sub("frusta.json"), """{"Sandboxes": {"Network": {"Deny": ["file"]}}}""", TestContext.Current.CancellationToken);

        var (_, output) = await ServerProcess.RefusedAsync(
            folder.Sub("data"),
            ["--config", folder.Sub("frusta.json")],
            new Dictionary<string, string>(StringComparer.Ordinal) { ["FRUSTA_Sandboxes__Network__Deny"] = "192.0.2.1,environment" });

        Assert.Contains("but one is environment", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_only_asked_for_is_answered_and_nothing_starts()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.Sub("here"));
        using var frusta = Process.Start(new ProcessStartInfo("dotnet", [Tree.Program, "standalone", "--version"])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
            WorkingDirectory = folder.Sub("here"),
        })!;

        var output = await frusta.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await frusta.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(0, frusta.ExitCode);
        Assert.Equal("0.1.0", output.Trim().Split('+')[0]);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Sub("here")));
    }

    [Fact]
    public async Task The_stock_keys_are_refused_on_an_address_that_others_reach()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"), ["--host", "0.0.0.0"]);

        var (status, _) = await server.GetAsync("actions");

        Assert.Equal(401, status);
        Assert.DoesNotContain("123zO3xZCLrMN6v2BKK1", server.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_subject_from_the_environment_has_its_own_namespace_and_its_key_reaches_no_log()
    {
        using var folder = new TemporaryFolder();
        var key = "0d1a7c52-6a0e-4d7c-9c43-6f2f8f2d7a10:" + new string('k', 64);
        await using var server = await ServerProcess.StartAsync(
            folder.Sub("data"), environment: new Dictionary<string, string>(StringComparer.Ordinal) { ["FRUSTA_Subjects__zoe"] = key });
        server.Http.DefaultRequestHeaders.Authorization =
            new("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(key)));

        var (status, body) = await server.GetAsync("/api/v1/namespaces");

        Assert.Equal(200, status);
        Assert.Equal("zoe", body[0].GetString());
        Assert.DoesNotContain("kkkkkkkk", server.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sigterm_lets_a_running_call_end_and_its_client_has_the_answer()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        await server.PutActionAsync("slow", "function main() { return new Promise(done => setTimeout(() => done({ended: true}), 1500)); }");
        var call = server.PostAsync("actions/slow?blocking=true&result=true", cancellationToken: TestContext.Current.CancellationToken);
        await WaitForMetricAsync(server, "gauge_containerPool_activeCount_counter", value => value >= 1);

        server.Signal("TERM");
        var (status, body) = await call;

        Assert.Equal(200, status);
        Assert.True(body.GetProperty("ended").GetBoolean());
        Assert.Equal(0, await server.ExitAsync());
    }

    [Fact]
    public async Task A_second_signal_ends_the_server_at_once()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        await server.PutActionAsync("slow", "function main() { return new Promise(done => setTimeout(done, 50000)); }");
        var call = server.PostAsync("actions/slow?blocking=true", cancellationToken: TestContext.Current.CancellationToken);
        await WaitForMetricAsync(server, "gauge_containerPool_activeCount_counter", value => value >= 1);

        server.Signal("TERM");
        server.Signal("TERM");

        Assert.NotEqual(0, await server.ExitAsync());
        await Assert.ThrowsAnyAsync<Exception>(() => call);
    }

    [Fact]
    public async Task An_idle_server_is_at_most_100_megabytes_resident()
    {
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        await WaitForMetricAsync(server, "gauge_containerPool_prewarmCount_counter", value => value >= 1);

        var status = await File.ReadAllTextAsync($"/proc/{server.ProcessId}/status", TestContext.Current.CancellationToken);

        var resident = int.Parse(Resident().Match(status).Groups["kilobytes"].Value, CultureInfo.InvariantCulture);
        Assert.InRange(resident / 1024, 1, 100);
    }

    internal static async Task WaitForMetricAsync(ServerProcess server, string name, Func<double, bool> wanted)
    {
        var until = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var text = await server.Http.GetStringAsync($"http://127.0.0.1:{server.Port}/metrics", TestContext.Current.CancellationToken);
            var line = text.Split('\n').FirstOrDefault(candidate => candidate.StartsWith(name + " ", StringComparison.Ordinal));
            if (line is not null && wanted(double.Parse(line[(name.Length + 1)..], CultureInfo.InvariantCulture)))
            {
                return;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(until) < TimeSpan.FromMinutes(1), $"{name} is still: {line ?? "absent"}");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    [GeneratedRegex(@"VmRSS:\s+(?<kilobytes>\d+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Resident();
}
