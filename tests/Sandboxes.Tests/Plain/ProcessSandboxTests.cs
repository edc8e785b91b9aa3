using Frusta.Sandboxes.Plain;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Plain;

public sealed class ProcessSandboxTests : IAsyncDisposable
{
    private readonly RunFolder _folder = new();
    private readonly ProcessSandboxMaker _maker;

    public ProcessSandboxTests() => _maker = new ProcessSandboxMaker(_folder.Options, TimeProvider.System, NullLogger<ProcessSandboxMaker>.Instance);

    public async ValueTask DisposeAsync()
    {
        await _maker.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task It_answers_on_its_channel_and_its_output_arrives()
    {
        await using var sandbox = await StartAsync(Workload.Python());
        Assert.Equal("42", await sandbox.AskAsync("6 * 7"));
        Assert.Equal("None", await sandbox.AskAsync("print('seen', flush=True)"));
        Assert.Equal("seen\n", Workload.Drain(sandbox.StandardOutput));
        Assert.Equal("", Workload.Drain(sandbox.StandardError));
    }

    [Fact]
    public async Task It_has_exactly_the_environment_and_descriptors_it_was_given()
    {
        await using var sandbox = await StartAsync(Workload.Python());
        Assert.Equal("{'__OW_API_HOST': 'http://api'}", await sandbox.AskAsync("{k: v for k, v in os.environ.items() if k != 'LC_CTYPE'}"));
        // 0, 1, 2, the two of the channel, and the one that lists them.
        Assert.Equal("['0', '1', '2', '3', '4', '5']", await sandbox.AskAsync("sorted(os.listdir('/proc/self/fd'))"));
    }

    [Fact]
    public async Task Its_exit_is_seen_with_its_code()
    {
        await using var sandbox = await StartAsync(Workload.Python());
        await sandbox.AskAsync("os._exit(7)");
        Assert.Equal(7, (await sandbox.Exited.WaitAsync(TestContext.Current.CancellationToken)).ExitCode);
    }

    [Fact]
    public async Task Stopping_ends_the_whole_tree_and_gives_back_the_folder()
    {
        var sandbox = await StartAsync(Workload.Python());
        var child = int.Parse(await sandbox.AskAsync("__import__('subprocess').Popen(['/bin/sleep', '1000'], start_new_session=True).pid"), System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(Directory.Exists($"/proc/{child}"));
        await sandbox.StopAsync();
        await sandbox.StopAsync();
        Assert.Equal(137, (await sandbox.Exited).ExitCode);
        await Eventually.TrueAsync(() => !Directory.Exists($"/proc/{child}") || File.ReadAllText($"/proc/{child}/stat").Contains(" Z ", StringComparison.Ordinal));
        Assert.Empty(Directory.EnumerateDirectories(Directory.EnumerateDirectories(_folder.Options.RunFolder).Single()));
    }

    [Fact]
    public async Task A_tree_that_uses_too_much_is_ended_by_the_watchdog()
    {
        await using var sandbox = await StartAsync(Workload.Python(memoryMb: 64) with { AddressSpaceMayBeLimited = false });
        await sandbox.AskAsync("globals().update(hog=bytearray(120 << 20))");
        await sandbox.Exited.WaitAsync(TestContext.Current.CancellationToken);
        Assert.True(sandbox.MemoryExhausted);
    }

    [Fact]
    public async Task What_its_tree_uses_of_the_cores_is_known_and_it_says_that_it_is_not_paused()
    {
        await using var sandbox = await StartAsync(Workload.Python());
        Assert.False(sandbox.CanPause);
        Assert.Throws<NotSupportedException>(sandbox.Pause);
        await sandbox.AskAsync("__import__('subprocess').Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True).pid");
        var before = sandbox.MeasureCpuTime();
        await Eventually.TrueAsync(() => sandbox.MeasureCpuTime() - before > TimeSpan.FromMilliseconds(50));
        await sandbox.StopAsync();
        Assert.Null(sandbox.MeasureCpuTime());
    }

    [Fact]
    public async Task A_program_that_ends_before_its_hello_is_a_start_failure_with_its_words()
    {
        var failure = await Assert.ThrowsAsync<SandboxStartException>(() => StartAsync(Workload.Run("/bin/sh", "-c", "echo no luck >&2; exit 3")));
        Assert.Contains("exit code 3", failure.Message, StringComparison.Ordinal);
        Assert.Contains("no luck", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_never_says_hello_is_given_up()
    {
        _folder.Options.StartTimeoutMs = 200;
        var failure = await Assert.ThrowsAsync<SandboxStartException>(() => StartAsync(Workload.Run("/bin/sleep", "1000")));
        Assert.Contains("within 200 ms", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_closes_its_channel_without_a_word_is_given_up()
    {
        _folder.Options.StartTimeoutMs = 200;
        var failure = await Assert.ThrowsAsync<SandboxStartException>(() => StartAsync(Workload.Run("/bin/sh", "-c", "echo mute >&2; exec 4>&-; exec sleep 1000")));
        Assert.Contains("within 200 ms", failure.Message, StringComparison.Ordinal);
        Assert.Contains("mute", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_ends_after_its_hello_had_started()
    {
        await using var sandbox = await StartAsync(Workload.Run("/bin/sh", "-c", "printf hello >&4"));
        Assert.Equal(0, (await sandbox.Exited.WaitAsync(TestContext.Current.CancellationToken)).ExitCode);
        Assert.Equal("hello", Workload.Drain(sandbox.Channel().Answers));
    }

    [Fact]
    public async Task A_missing_program_is_a_start_failure()
    {
        await Assert.ThrowsAsync<SandboxStartException>(() => StartAsync(Workload.Run("/no/such/program")));
    }

    private async Task<ISandbox> StartAsync(SandboxSpec spec) => await _maker.StartAsync(spec, TestContext.Current.CancellationToken);
}
