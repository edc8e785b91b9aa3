using Frusta.Contracts.Json;

namespace Frusta.Contracts.Tests.Json;

public sealed class JsonWorkersTests
{
    private const long Large = 1 << 20;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private static bool IsOnItsThreads => Thread.CurrentThread.Name?.StartsWith("large", StringComparison.Ordinal) ?? false;

    [Fact]
    public async Task A_request_is_on_the_threads_with_all_of_its_methods_from_the_moment_that_one_of_them_has_something_large()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions(), "large");
        var after = await Task.Run(
            async () =>
            {
                await workers.RunAsync("a", async () =>
                {
                    Assert.True(await JsonTurn.EnterForAsync(1));
                    await Task.Yield();
                    Assert.False(IsOnItsThreads);
                    await FindAsync();
                    Assert.True(IsOnItsThreads);
                    await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancelled);
                    Assert.True(IsOnItsThreads);
                    return 1;
                });
                return IsOnItsThreads;
            },
            Cancelled);

        Assert.False(after);
        Assert.Equal(0, workers.Entered);

        static async Task FindAsync()
        {
            await Task.Yield();
            Assert.True(await JsonTurn.EnterForAsync(Large));
            Assert.True(IsOnItsThreads);
        }
    }

    [Fact]
    public async Task Outside_of_a_request_nothing_moves()
    {
        var here = Thread.CurrentThread;
        Assert.True(await JsonTurn.EnterForAsync(Large));
        Assert.Same(here, Thread.CurrentThread);
    }

    [Fact]
    public async Task A_request_that_waits_holds_no_thread()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 1, MaxWaiting = 100 }, "large");
        var disk = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = Enumerable.Range(0, 10).Select(_ => RunAsync(workers, "a", () => disk.Task)).ToList();

        Assert.True(await RunAsync(workers, "b", () => Task.CompletedTask));

        disk.SetResult();
        Assert.All(await Task.WhenAll(waiting), Assert.True);
    }

    [Fact]
    public async Task One_namespace_never_has_all_threads_and_the_others_take_turns()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 2, MaxWaiting = 100 }, "large");
        using var free = new ManualResetEventSlim();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var order = new List<string>();
        var first = RunAsync(workers, "greedy", () =>
        {
            begun.SetResult();
            free.Wait(Cancelled); // work, not a wait
            return Task.CompletedTask;
        });
        await begun.Task;
        var greedy = Enumerable.Range(0, 10).Select(_ => RunAsync(workers, "greedy", () => Note("greedy"))).ToList();

        Assert.True(await RunAsync(workers, "b", () => Note("b"))); // although ten wait since before, and a thread is free that they may not have
        Assert.Equal(["b"], order);
        free.Set();
        await first;
        Assert.All(await Task.WhenAll(greedy), Assert.True);
        Assert.Equal(11, order.Count);

        Task Note(string name)
        {
            lock (order)
            {
                order.Add(name);
            }

            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task Who_comes_after_too_many_is_refused_and_a_namespace_has_a_quarter_of_the_places()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 1, MaxWaiting = 8 }, "large");
        var disk = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = new[] { "a", "a", "b", "b", "c", "c", "d" }.Select(name => RunAsync(workers, name, () => disk.Task)).ToList();

        await EnteredAsync(7);
        Assert.False(await RunAsync(workers, "a", () => Task.CompletedTask));
        waiting.Add(RunAsync(workers, "e", () => disk.Task));
        await EnteredAsync(8);
        Assert.False(await RunAsync(workers, "f", () => Task.CompletedTask));

        disk.SetResult();
        Assert.All(await Task.WhenAll(waiting), Assert.True);
        Assert.Equal(0, workers.Entered);
        Assert.True(await RunAsync(workers, "a", () => Task.CompletedTask));

        Task EnteredAsync(int count) => Eventually.TrueAsync(() => workers.Entered >= count);
    }

    [Fact]
    public async Task Large_work_within_large_work_is_part_of_it()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 1 }, "large");
        Assert.True(await RunAsync(workers, "a", async () =>
        {
            Assert.True(await workers.RunLargeAsync("a", () => new ValueTask<bool>(workers.Entered == 1), full: false));
            Assert.True(IsOnItsThreads);
        }));
    }

    [Fact]
    public async Task What_fails_fails_its_caller_and_leaves_the_threads_to_others()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 1 }, "large");
        for (var i = 0; i < 100; i++)
        {
            await Assert.ThrowsAsync<FormatException>(() => RunAsync(workers, "a", async () =>
            {
                await Task.Yield();
                throw new FormatException();
            }));
        }

        Assert.True(await RunAsync(workers, "a", () => Task.CompletedTask));
        Assert.Equal(0, workers.Entered);
    }

    [Fact]
    public async Task What_a_request_still_does_when_it_is_over_is_done_on_the_thread_pool()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 1 }, "large");
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<bool>? left = null;
        Assert.True(await RunAsync(workers, "a", () =>
        {
            left = LeftAsync();
            return Task.CompletedTask;
        }));

        over.SetResult();
        Assert.False(await left!);

        async Task<bool> LeftAsync()
        {
            await over.Task;
            return IsOnItsThreads;
        }
    }

    private static Task<bool> RunAsync(JsonWorkers workers, string name, Func<Task> work) => Task.Run(
        () => workers.RunLargeAsync(
            name,
            async () =>
            {
                Assert.True(IsOnItsThreads);
                await work();
                return true;
            },
            full: false).AsTask(),
        Cancelled);
}
