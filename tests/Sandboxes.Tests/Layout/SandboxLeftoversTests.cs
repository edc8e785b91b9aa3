using System.Diagnostics;
using Frusta.Sandboxes.Layout;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Layout;

public sealed class SandboxLeftoversTests
{
    [Fact]
    public async Task Plain_processes_of_a_dead_server_are_ended_and_its_folder_removed()
    {
        using var folder = new RunFolder();
        using var process = Process.Start("/bin/sleep", "1000");

        // Pid 1 lives, but it did not start at tick 1: whoever wrote this is dead.
        var sandbox = Path.Combine(folder.Options.RunFolder, "abcdef-1-1", "nodejs-1");
        Directory.CreateDirectory(sandbox);
        SandboxLeftovers.NoteSession(sandbox, process.Id);
        Assert.Equal(1, await CleanAsync(folder));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Empty(Directory.GetDirectories(folder.Options.RunFolder));
    }

    [Fact]
    public async Task A_process_that_only_has_the_number_of_a_dead_one_is_left_alone()
    {
        using var folder = new RunFolder();
        using var process = Process.Start("/bin/sleep", "1000");
        var sandbox = Path.Combine(folder.Options.RunFolder, "abcdef-1-1", "nodejs-1");
        Directory.CreateDirectory(sandbox);
        await File.WriteAllTextAsync(Path.Combine(sandbox, "session"), $"{process.Id} 1", TestContext.Current.CancellationToken);
        Assert.Equal(1, await CleanAsync(folder));
        Assert.False(process.HasExited);
        process.Kill();
    }

    [Fact]
    public async Task A_folder_that_is_not_an_instances_is_left_alone()
    {
        using var folder = new RunFolder();
        Directory.CreateDirectory(Path.Combine(folder.Options.RunFolder, "something-else"));
        Assert.Equal(0, await CleanAsync(folder));
        Assert.Single(Directory.GetDirectories(folder.Options.RunFolder));
    }

    private static Task<int> CleanAsync(RunFolder folder) =>
        SandboxLeftovers.CleanAsync(folder.Options, TimeProvider.System, NullLogger.Instance, TestContext.Current.CancellationToken);
}
