using System.Diagnostics;

namespace Frusta.EndToEnd.Tests;

/// <summary>A server with fewer rights, or on a kernel with less: what it still isolates and bounds, and what it says of the rest.</summary>
public sealed class LesserHostTests
{
    [Theory]
    [InlineData("bubblewrap")]
    [InlineData("process")]
    public async Task Actions_of_an_ordinary_user_s_server_are_told_of_their_memory_what_those_in_cgroups_are(string driver)
    {
        using var folder = new TemporaryFolder();
        await using var server = await StartAsOrdinaryUserAsync(folder, driver);
        Assert.Contains("memory by resource limits", server.Output, StringComparison.Ordinal);

        // Not faster than it is looked at: one that is finds that the kernel gives it no more, and ends with words of its own.
        await AssertEndsAsync(server, "return new Promise(() => setInterval(() => kept.push(Buffer.alloc(4 << 20, 1)), 20))", "The action exhausted its memory and was aborted.");
        await AssertEndsAsync(server, "process.abort()", "The action did not produce a valid response and exited unexpectedly.");
    }

    [Fact]
    public async Task Where_the_kernel_cannot_count_connections_sandboxes_have_a_network_all_the_same_and_the_start_says_so()
    {
        Assert.SkipUnless(string.Equals(Environment.UserName, "root", StringComparison.Ordinal), "Sandboxes have a network only where the server is root.");
        using var folder = new TemporaryFolder();

        // An nft that refuses what such a kernel refuses.
        var tools = Directory.CreateDirectory(folder.Sub("tools"));
        var nft = Path.Combine(tools.FullName, "nft");
        await File.WriteAllTextAsync(
            nft,
            "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nif [ \"$1\" = -f ] && grep -q 'ct count' \"$2\"; then echo 'Error: No such file or directory' >&2; exit 1; fi\nexec nft \"$@\"\n",
            TestContext.Current.CancellationToken);
        File.SetUnixFileMode(nft, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await using var server = await ServerProcess.StartAsync(
            folder.Sub("data"),
            ["--Sandboxes:Network:Mode=egress"],
            new Dictionary<string, string>(StringComparer.Ordinal) { ["PATH"] = $"{tools.FullName}:{Environment.GetEnvironmentVariable("PATH")}" });
        await server.PutActionAsync("address", "function main() { return { eth0: require('os').networkInterfaces().eth0.length }; }");

        var (status, body) = await server.PostAsync("actions/address?blocking=true&result=true", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(200, status);
        Assert.Equal(1, body.GetProperty("eth0").GetInt32());
        Assert.Contains("Connections of a sandbox are not counted.", string.Join(' ', server.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    private static async Task AssertEndsAsync(ServerProcess server, string code, string error)
    {
        await server.PutActionAsync("bomb", $"function main() {{ const kept = []; {code} }}");

        var (status, body) = await server.PostAsync("actions/bomb?blocking=true", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(502, status);
        Assert.Equal(error, body.GetProperty("response").GetProperty("result").GetProperty("error").GetString());
    }

    /// <summary>Where the tests run as root, the server runs as a user that owns nothing but its data folder, from a copy that this user may read.</summary>
    private static async Task<ServerProcess> StartAsOrdinaryUserAsync(TemporaryFolder folder, string driver)
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
