using System.Diagnostics;

namespace Frusta.EndToEnd.Tests;

/// <summary>A server that is not root: what it isolates and bounds with the rights that it has.</summary>
public sealed class OrdinaryUserTests
{
    [Theory]
    [InlineData("bubblewrap")]
    [InlineData("process")]
    public async Task Its_actions_are_told_of_their_memory_what_those_in_cgroups_are(string driver)
    {
        using var folder = new TemporaryFolder();
        await using var server = await StartAsync(folder, driver);
        Assert.Contains("memory by resource limits", server.Output, StringComparison.Ordinal);

        await AssertEndsAsync(server, "for (;;) kept.push(Buffer.alloc(32 << 20, 1))", "The action exhausted its memory and was aborted.");
        await AssertEndsAsync(server, "process.abort()", "The action did not produce a valid response and exited unexpectedly.");
    }

    private static async Task AssertEndsAsync(ServerProcess server, string code, string error)
    {
        await server.PutActionAsync("bomb", $"function main() {{ const kept = []; {code} }}");

        var (status, body) = await server.PostAsync("actions/bomb?blocking=true", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(502, status);
        Assert.Equal(error, body.GetProperty("response").GetProperty("result").GetProperty("error").GetString());
    }

    /// <summary>Where the tests run as root, the server runs as a user that owns nothing but its data folder, from a copy that this user may read.</summary>
    private static async Task<ServerProcess> StartAsync(TemporaryFolder folder, string driver)
    {
        string[] flags = ["--Invoker:StemCells:nodejs:Count=0", $"--Sandboxes:Driver={driver}"];
        var data = folder.Sub("data");
        if (!string.Equals(Environment.UserName, "root", StringComparison.Ordinal))
        {
            return await ServerProcess.StartAsync(data, flags);
        }

        var program = folder.Sub("program");
        await RunAsync("cp", "--recursive", Path.GetDirectoryName(Tree.Program)!, program);
        await RunAsync("chmod", "--recursive", "a+rX", folder.Path);
        await RunAsync("install", "--directory", "--owner=1500", "--group=1500", data);
        return await ServerProcess.StartAsync(
            data,
            flags,
            new Dictionary<string, string>(StringComparer.Ordinal) { ["HOME"] = data },
            shell: "exec setpriv --reuid=1500 --regid=1500 --clear-groups \"$@\"",
            program: Path.Combine(program, Path.GetFileName(Tree.Program)));
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
    }
}
