using System.Globalization;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Makers;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Frusta.Sandboxes.Tests.Layout;

public sealed class RunLockTests
{
    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public async Task A_lock_that_is_not_freed_in_time_is_named_with_its_holder_and_what_to_do()
    {
        using var folder = new RunFolder();
        using var held = await RunLock.TakeAsync(folder.Options, TimeProvider.System, TestContext.Current.CancellationToken);

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => AwaitAsync(RunLock.TakeAsync(folder.Options, _clock, TestContext.Current.CancellationToken)));

        Assert.Contains(Path.Combine(folder.Options.RunFolder, "lock"), refused.Message, StringComparison.Ordinal);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"process {Environment.ProcessId} ("), refused.Message, StringComparison.Ordinal);
        Assert.Contains("start again", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Sandboxes:RunFolder", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_meets_such_a_lock_refuses_to_start_in_the_same_words()
    {
        using var folder = new RunFolder();
        using var held = await RunLock.TakeAsync(folder.Options, TimeProvider.System, TestContext.Current.CancellationToken);

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(
            () => AwaitAsync(SandboxMakers.CreateAsync(folder.Options, _clock, NullLoggerFactory.Instance, TestContext.Current.CancellationToken)));

        Assert.Contains(Path.Combine(folder.Options.RunFolder, "lock"), refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_lock_that_is_freed_meanwhile_is_taken()
    {
        using var folder = new RunFolder();
        var held = await RunLock.TakeAsync(folder.Options, TimeProvider.System, TestContext.Current.CancellationToken);
        var taking = RunLock.TakeAsync(folder.Options, _clock, TestContext.Current.CancellationToken);
        Assert.False(taking.IsCompleted);
        held.Dispose();

        (await AwaitAsync(taking)).Dispose();
    }

    /// <summary>Nobody holds it, so that to wait would be in vain.</summary>
    [Fact]
    public async Task A_lock_file_that_cannot_be_opened_is_named_at_once()
    {
        using var folder = new RunFolder();
        var file = Path.Combine(folder.Options.RunFolder, "lock");
        Directory.CreateDirectory(file);

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => RunLock.TakeAsync(folder.Options, _clock, TestContext.Current.CancellationToken));

        Assert.Contains(file, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_folder_that_cannot_be_made_is_named()
    {
        using var folder = new RunFolder();
        Directory.CreateDirectory(folder.Options.RunFolder);
        var file = Path.Combine(folder.Options.RunFolder, "file");
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);
        var options = new SandboxesOptions { RunFolder = Path.Combine(file, "run") };

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(
            () => SandboxMakers.CreateAsync(options, TimeProvider.System, NullLoggerFactory.Instance, TestContext.Current.CancellationToken));

        Assert.Contains(options.RunFolder, refused.Message, StringComparison.Ordinal);
        Assert.Contains("Sandboxes:RunFolder", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Has the time go on until there is an outcome.</summary>
    private async Task<T> AwaitAsync<T>(Task<T> taking)
    {
        await Eventually.TrueAsync(() =>
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            return taking.IsCompleted;
        });
        return await taking;
    }
}
