using System.Diagnostics;
using System.Globalization;

namespace Frusta.EndToEnd.Tests;

/// <summary>Real clients against the built server.</summary>
public sealed class ClientTests
{
    [Fact]
    public async Task The_npm_client_creates_invokes_lists_and_deletes_as_it_does_with_openwhisk()
    {
        var package = Path.Combine(Tree.Root, "runtimes", "nodejs", "node_modules", "openwhisk");
        TestRun.Require(Directory.Exists(package), "the npm package openwhisk is not installed: run ./test once");
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));

        var (exitCode, output) = await NodeAsync(
            Path.Combine(AppContext.BaseDirectory, "Clients", "npm-client.js"), server, Path.GetDirectoryName(package)!);

        Assert.True(exitCode == 0, output);
    }

    [Fact]
    public async Task Wsk_creates_invokes_and_shows_an_activation()
    {
        var wsk = Environment.GetEnvironmentVariable("PATH")!.Split(':').Select(part => Path.Combine(part, "wsk")).FirstOrDefault(File.Exists);
        Assert.SkipUnless(wsk is not null, "wsk is not on the PATH, and no package registry has it");
        using var folder = new TemporaryFolder();
        await using var server = await ServerProcess.StartAsync(folder.Sub("data"));
        var code = folder.Sub("hello.js");
        await File.WriteAllTextAsync(code, "function main(a) { return {hello: a.name}; }", TestContext.Current.CancellationToken);
        string[] host = ["--apihost", $"http://127.0.0.1:{server.Port}", "--auth", ServerProcess.GuestKey];

        var (created, _) = await RunAsync(wsk, [.. host, "action", "create", "hello", code]);
        var (invoked, result) = await RunAsync(wsk, [.. host, "action", "invoke", "hello", "--result", "--param", "name", "Frusta"]);
        var (listed, activations) = await RunAsync(wsk, [.. host, "activation", "list"]);

        Assert.Equal((0, 0, 0), (created, invoked, listed));
        Assert.Contains("\"hello\": \"Frusta\"", result, StringComparison.Ordinal);
        Assert.Contains("hello", activations, StringComparison.Ordinal);
    }

    private static Task<(int ExitCode, string Output)> NodeAsync(string script, ServerProcess server, string modules) =>
        RunAsync("node", [script, $"http://127.0.0.1:{server.Port.ToString(CultureInfo.InvariantCulture)}", ServerProcess.GuestKey], ("NODE_PATH", modules));

    private static async Task<(int ExitCode, string Output)> RunAsync(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output + await errors);
    }
}
