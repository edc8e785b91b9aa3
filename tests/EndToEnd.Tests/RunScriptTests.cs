using System.Diagnostics;
using System.Text;

namespace Frusta.EndToEnd.Tests;

/// <summary>
/// <c>./run</c> and <c>./test</c> on a host that lacks one program, as root and as another user: each starts with less and says what that costs, or
/// ends and says what to do; never without a word. What would install or build is a fake that writes down that it was called.
/// </summary>
public sealed class RunScriptTests : IDisposable
{
    private const string Nobody = "65534";
    private const UnixFileMode Everybody = (UnixFileMode)0x1FF;
    private const UnixFileMode Program = (UnixFileMode)0x1ED;

    /// <summary>Hides <c>/usr/sbin</c>, where programs are found that are not on the PATH, behind a folder of links. In a mount namespace of its own.</summary>
    private const string Hide = """mount --bind /usr/sbin "$0/sbin" && mount --bind "$0/bin" /usr/sbin && exec "$@" """;

    private static readonly string[] Folders = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"];

    private readonly TemporaryFolder _folder = new();

    /// <summary>A program that is missing, and the words that must be said where it is root's start, and another user's.</summary>
    public static TheoryData<string, bool, string> Missing => new()
    {
        { "node", true, "installing from Debian: nodejs" },
        { "node", false, "As root: apt-get install nodejs" },
        { "npm", true, "" },
        { "npm", false, "" },
        { "python3", true, "installing from Debian: python3" },
        { "python3", false, "As root: apt-get install python3" },
        { "bwrap", true, "installing from Debian: bubblewrap" },
        { "bwrap", false, "As root: apt-get install bubblewrap" },
        { "nft", true, "installing from Debian: nftables" },
        { "nft", false, "As root: apt-get install nftables" },
        { "ip", true, "installing from Debian: iproute2" },
        { "ip", false, "As root: apt-get install iproute2" },
        { "dotnet", true, "the .NET SDK 10 is needed" },
        { "dotnet", false, "the .NET SDK 10 is needed" },
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Missing))]
    public async Task Without_one_program_run_starts_with_less_or_says_what_to_do(string missing, bool asRoot, string words)
    {
        SkipUnlessShort(missing);
        PrepareHost(missing);

        var (exitCode, output) = await RunAsync(asRoot, "run", "--port", "0", "--data-dir", _folder.Sub("data"));

        Assert.Contains(words, output, StringComparison.Ordinal);
        Assert.Equal(exitCode is null, output.Contains("Ready after", StringComparison.Ordinal));
        Assert.True(exitCode is null or 1, output);
        Assert.Equal(exitCode is null, missing is not "dotnet");
        if (missing is "node")
        {
            Assert.Contains("actions of kind nodejs will not run. Put Node 20 or later on the PATH", output, StringComparison.Ordinal);
        }

        Assert.Equal(asRoot && words.Contains("installing", StringComparison.Ordinal), File.Exists(_folder.Sub("apt-get.calls")));
    }

    [Theory]
    [MemberData(nameof(Missing))]
    public async Task Without_one_program_test_goes_on_with_less_or_says_what_to_do(string missing, bool asRoot, string words)
    {
        SkipUnlessShort(missing);
        PrepareHost(missing);

        var (exitCode, output) = await RunAsync(asRoot, "test", "NoSuchPart");

        Assert.Equal(1, exitCode);
        Assert.Contains(words, output, StringComparison.Ordinal);
        Assert.True(missing is "dotnet" || output.Contains("0 passed, 0 failed, 0 skipped", StringComparison.Ordinal), output);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Without_node_a_start_that_prepares_nothing_says_what_is_missing(bool asRoot)
    {
        PrepareHost("node");

        var (exitCode, output) = await RunAsync(asRoot, "run", "--no-build", "--port", "0", "--data-dir", _folder.Sub("data"));

        Assert.Null(exitCode);
        Assert.Contains("nodejs", output, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.Sub("apt-get.calls")));
    }

    [Fact]
    public async Task Somebody_who_may_not_build_is_told_so()
    {
        PrepareHost("");
        File.SetUnixFileMode(_folder.Sub("tree/artifacts"), Program);

        var (exitCode, output) = await RunAsync(asRoot: false, "run");

        Assert.Equal(1, exitCode);
        Assert.Contains("may not write to", output, StringComparison.Ordinal);
        Assert.Contains("start what is built with --no-build", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_no_script_expects_to_fail_is_named_when_it_fails()
    {
        PrepareHost("sha256sum");
        Write("bin/sort", "exit 3");
        Write("bin/id", "exit 4");

        var (exitCode, output) = await RunAsync(asRoot: true, "run");

        Assert.NotEqual(0, exitCode);
        Assert.Contains("frusta: ", output, StringComparison.Ordinal);
    }

    private static void SkipUnlessShort(string missing) =>
        Assert.SkipUnless(TestRun.LongTestsToo || missing is "node" or "dotnet", "all of them take a minute: they run with ./test --all");

    /// <summary>A folder of links to every program of this host but one, and a checkout whose build is this one's.</summary>
    private void PrepareHost(string missing)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "only root can hide programs of this host, and become another user");
        File.SetUnixFileMode(_folder.Path, Everybody);
        foreach (var folder in (string[])["bin", "sbin", "tree", "tree/eng", "tree/artifacts"])
        {
            Directory.CreateDirectory(_folder.Sub(folder));
            File.SetUnixFileMode(_folder.Sub(folder), Everybody);
        }

        foreach (var file in Folders.Where(Directory.Exists).SelectMany(Directory.EnumerateFileSystemEntries))
        {
            var link = _folder.Sub("bin/" + Path.GetFileName(file));
            var target = file.StartsWith("/usr/sbin/", StringComparison.Ordinal) ? _folder.Sub("sbin/" + Path.GetFileName(file)) : file;
            if (Path.GetFileName(file) is not ("apt-get" or "npm" or "dotnet") && !string.Equals(Path.GetFileName(file), missing, StringComparison.Ordinal) && !Path.Exists(link))
            {
                File.CreateSymbolicLink(link, target);
            }
        }

        Write("bin/apt-get", $"echo \"$*\" >>'{_folder.Sub("apt-get.calls")}'; echo 'no network in a test' >&2; exit 100");
        Write("bin/npm", missing is "node" ? "exec node" : "[ \"$1\" = --version ] && echo 10.0.0 || { echo 'no network in a test' >&2; exit 1; }");
        Write("bin/dotnet", "case \"$1\" in build) exit 0;; --version) echo 10.0.100; exit 0;; esac; exec /usr/bin/dotnet \"$@\"");
        if (missing is "npm" or "dotnet")
        {
            File.Delete(_folder.Sub("bin/" + missing));
        }

        foreach (var part in (string[])["run", "test", "eng/prepare.sh"])
        {
            File.Copy(Path.Combine(Tree.Root, part), _folder.Sub("tree/" + part));
        }

        foreach (var part in (string[])["src", "runtimes", "Directory.Build.props", "Directory.Packages.props", "global.json", ".editorconfig", "artifacts/bin"])
        {
            File.CreateSymbolicLink(_folder.Sub("tree/" + part), Path.Combine(Tree.Root, part));
        }
    }

    private void Write(string file, string script)
    {
        File.Delete(_folder.Sub(file));
        File.WriteAllText(_folder.Sub(file), $"#!/bin/bash\n{script}\n");
        File.SetUnixFileMode(_folder.Sub(file), Program);
    }

    /// <summary>Runs a script of the checkout until it ends, or is a server that is ready (no exit code then).</summary>
    private async Task<(int? ExitCode, string Output)> RunAsync(bool asRoot, string script, params string[] arguments)
    {
        string[] user = asRoot ? [] : ["setpriv", "--reuid=" + Nobody, "--regid=" + Nobody, "--clear-groups"];
        var start = new ProcessStartInfo("/usr/bin/unshare", ["--mount", "/bin/bash", "-c", Hide, _folder.Path, .. user, "/bin/bash", _folder.Sub("tree/" + script), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = _folder.Path,
        };
        foreach (var (name, value) in new[] { ("PATH", _folder.Sub("bin")), ("HOME", _folder.Path), ("DOTNET_CLI_HOME", _folder.Path) })
        {
            start.Environment[name] = value;
        }

        using var process = new Process { StartInfo = start };
        var output = new StringBuilder();
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Keep(string? line)
        {
            lock (output)
            {
                output.AppendLine(line);
            }

            if (line?.Contains("Ready after", StringComparison.Ordinal) == true)
            {
                ready.TrySetResult();
            }
        }

        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var ended = process.WaitForExitAsync(Cancellation);
        var isReady = await Task.WhenAny(ready.Task, ended) == ready.Task;
        if (isReady)
        {
            using var kill = Process.Start("kill", ["-TERM", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
            await ended;
        }

        lock (output)
        {
            return (isReady ? null : process.ExitCode, output.ToString());
        }
    }
}
