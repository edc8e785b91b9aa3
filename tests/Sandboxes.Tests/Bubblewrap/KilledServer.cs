using System.Diagnostics;
using System.Globalization;
using Frusta.Sandboxes.Bubblewrap;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>This very program started again as a server with one sandbox, to be killed: as a test that runs only when it is told a run folder.</summary>
public sealed class KilledServer
{
    /// <summary>Names the run folder to serve in.</summary>
    internal const string Variable = "FRUSTA_TEST_SERVE";

    /// <summary>Names the freezer with which the sandbox is paused; empty leaves it running.</summary>
    internal const string FreezerVariable = "FRUSTA_TEST_FREEZER";

    /// <summary>File in the run folder that gets the pid of the program inside, as the host numbers it.</summary>
    internal const string PidFile = "workload.pid";

    [Fact]
    public async Task Serves_until_it_is_killed()
    {
        var folder = Environment.GetEnvironmentVariable(Variable);
        Assert.SkipWhen(string.IsNullOrEmpty(folder), "Runs only as the child of another test.");
        await ServeAsync(folder!, Environment.GetEnvironmentVariable(FreezerVariable) ?? "");
    }

    /// <summary>Starts it, and gives it with the pid of the program inside, as the host numbers it.</summary>
    internal static async Task<(Process Server, int Workload)> StartAsync(RunFolder folder, string freezer = "")
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["-method", $"{typeof(KilledServer).FullName}.{nameof(Serves_until_it_is_killed)}"]) { RedirectStandardOutput = true, UseShellExecute = false };
        start.Environment[Variable] = folder.Options.RunFolder;
        start.Environment[FreezerVariable] = freezer;
        var server = Process.Start(start)!;
        var pidFile = Path.Combine(folder.Options.RunFolder, PidFile);
        await Eventually.TrueAsync(() => File.Exists(pidFile) || server.HasExited);
        return (server, int.Parse(await File.ReadAllTextAsync(pidFile, TestContext.Current.CancellationToken), CultureInfo.InvariantCulture));
    }

    private static async Task ServeAsync(string folder, string freezer)
    {
        var options = new SandboxesOptions { RunFolder = folder };
        options.Freezer = freezer.Length > 0 ? freezer : options.Freezer;
        options.Network.Subnet = "10.94.0.0/16";
        var (maker, reason) = await BubblewrapSandboxMaker.TryCreateAsync(options, TimeProvider.System, NullLogger<BubblewrapSandboxMaker>.Instance, CancellationToken.None);
        var sandbox = await (maker ?? throw new InvalidOperationException(reason)).StartAsync(Workload.Python(), CancellationToken.None);

        if (freezer.Length > 0)
        {
            sandbox.Pause();
        }

        // The tree as the host numbers it: the one process whose command line is the workload's.
        foreach (var process in Directory.GetDirectories("/proc").Where(static process => int.TryParse(Path.GetFileName(process), CultureInfo.InvariantCulture, out _)))
        {
            if (await IsWorkloadAsync(process, sandbox))
            {
                await File.WriteAllTextAsync(Path.Combine(folder, "new"), Path.GetFileName(process));
                File.Move(Path.Combine(folder, "new"), Path.Combine(folder, PidFile));
            }
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System);
    }

    private static async Task<bool> IsWorkloadAsync(string process, ISandbox sandbox)
    {
        try
        {
            var groups = await File.ReadAllTextAsync(Path.Combine(process, "cgroup"));
            var command = await File.ReadAllTextAsync(Path.Combine(process, "cmdline"));
            return groups.Contains($"-{Environment.ProcessId}-", StringComparison.Ordinal)
                && groups.Contains(sandbox.Label, StringComparison.Ordinal)
                && command.StartsWith("/usr/bin/python3", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
