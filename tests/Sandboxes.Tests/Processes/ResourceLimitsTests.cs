using System.Globalization;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests.Processes;

public sealed class ResourceLimitsTests
{
    /// <summary>What a child is before its exec is through: its saved ids are still those of root.</summary>
    private const string Between = "import os, sys, time\n" +
        "os.setresgid(61234, 61234, 0); os.setresuid(61234, 61234, 0)\n" +
        "print('between', flush=True)\n" +
        "time.sleep(float(sys.argv[1]))\n" +
        "os.setresgid(61234, 61234, 61234); os.setresuid(61234, 61234, 61234)\n" +
        "time.sleep(60)\n";

    [Fact]
    public async Task A_process_whose_exec_is_not_through_is_waited_for()
    {
        AnotherUser.Require();
        using var spawner = new Spawner();
        using var process = await StartBetweenAsync(spawner, seconds: 0.2);

        await AnotherUser.DoAsync(() => ResourceLimits.Apply(process.Pid, fileSizeMb: 1024, openFiles: 77, processes: null));

        Assert.Contains(
            await File.ReadAllLinesAsync($"/proc/{process.Pid}/limits", TestContext.Current.CancellationToken),
            static line => line.StartsWith("Max open files", StringComparison.Ordinal) && line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3].Equals("77", StringComparison.Ordinal));
        process.Signal(Libc.SigKill);
        await process.Exited;
    }

    [Fact]
    public async Task A_process_that_stays_anothers_is_refused()
    {
        AnotherUser.Require();
        using var spawner = new Spawner();
        using var process = await StartBetweenAsync(spawner, seconds: 60);

        var refusal = await Assert.ThrowsAsync<IOException>(() => AnotherUser.DoAsync(() => ResourceLimits.Apply(process.Pid, fileSizeMb: 1024, openFiles: 1024, processes: null)));

        Assert.StartsWith("prlimit failed", refusal.Message, StringComparison.Ordinal);
        process.Signal(Libc.SigKill);
        await process.Exited;
    }

    private static async Task<SpawnedProcess> StartBetweenAsync(Spawner spawner, double seconds)
    {
        var process = await spawner.StartAsync(new SpawnRequest
        {
            Program = "/usr/bin/python3",
            Arguments = ["-c", Between, seconds.ToString(CultureInfo.InvariantCulture)],
        });
        await Eventually.TrueAsync(() => OutputPipe.Read(process.StandardOutput, new byte[64]) > 0);
        return process;
    }
}
