using System.Diagnostics;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Makers;
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
        SessionNote.Write(sandbox, process.Id);
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

    /// <summary>A server may be killed between any two of its calls: after it made a file and before it wrote to it, too.</summary>
    [Theory]
    [InlineData("session", "")]
    [InlineData("session", "12")]
    [InlineData("ledger", "cgroup /sys/fs")]
    public async Task What_was_being_written_when_the_server_was_killed_is_removed_and_not_followed(string file, string text)
    {
        using var folder = new RunFolder();
        var instance = Path.Combine(folder.Options.RunFolder, "abcdef-1-1");
        var sandbox = Path.Combine(instance, "nodejs-1");
        Directory.CreateDirectory(sandbox);
        var holder = file.Equals("ledger", StringComparison.Ordinal) ? instance : sandbox;
        await File.WriteAllTextAsync(Path.Combine(holder, file), text, TestContext.Current.CancellationToken);

        Assert.Equal(1, await CleanAsync(folder));

        Assert.Empty(Directory.GetDirectories(folder.Options.RunFolder));
    }

    [Fact]
    public async Task An_instance_that_cannot_be_cleaned_up_after_keeps_neither_the_others_nor_the_start()
    {
        using var folder = new RunFolder();
        var notAGroup = Directory.CreateDirectory(Path.Combine(folder.Options.RunFolder, "somewhere", "else")).Parent!.FullName;
        foreach (var instance in (string[])["aaaaaa-1-1", "bbbbbb-1-1", "cccccc-1-1"])
        {
            var path = Directory.CreateDirectory(Path.Combine(folder.Options.RunFolder, instance)).FullName;
            var notes = instance.StartsWith('b') ? $"cgroup {notAGroup}\n" : "";
            await File.WriteAllTextAsync(Path.Combine(path, "ledger"), notes, TestContext.Current.CancellationToken);
        }

        Assert.Equal(2, await CleanAsync(folder));

        Assert.Equal("bbbbbb-1-1 somewhere", string.Join(' ', Directory.GetDirectories(folder.Options.RunFolder).Select(Path.GetFileName).Order(StringComparer.Ordinal)));
        Assert.True(Directory.Exists(Path.Combine(notAGroup, "else")));
    }

    [Fact]
    public async Task Folders_that_a_function_closed_even_to_itself_are_removed()
    {
        using var folder = new RunFolder();
        var top = Directory.CreateDirectory(Path.Combine(folder.Options.RunFolder, "top")).FullName;
        AnotherUser.Own(folder.Options.RunFolder);
        AnotherUser.Own(top);
        await AnotherUser.DoAsync(() =>
        {
            var inner = Directory.CreateDirectory(Path.Combine(top, "a", "b", "c"));
            File.WriteAllText(Path.Combine(inner.FullName, "file"), "x");
            File.CreateSymbolicLink(Path.Combine(inner.FullName, "link"), "/");
            inner.UnixFileMode = UnixFileMode.None;
            inner.Parent!.UnixFileMode = UnixFileMode.None;
            inner.Parent.Parent!.UnixFileMode = UnixFileMode.UserRead;

            Assert.True(InstanceFolder.TryRemove(top));
        });

        Assert.False(Directory.Exists(top));
    }

    [Fact]
    public async Task A_folder_that_is_gone_is_removed_and_one_of_somebody_else_is_not()
    {
        using var folder = new RunFolder();
        var theirs = Directory.CreateDirectory(Path.Combine(folder.Options.RunFolder, "theirs")).FullName;

        Assert.True(InstanceFolder.TryRemove(Path.Combine(theirs, "gone")));
        await AnotherUser.DoAsync(() => Assert.False(InstanceFolder.TryRemove(theirs)));
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
