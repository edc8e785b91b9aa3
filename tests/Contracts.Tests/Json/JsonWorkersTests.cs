using Frusta.Contracts.Json;

namespace Frusta.Contracts.Tests.Json;

public sealed class JsonWorkersTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Work_is_on_a_thread_of_its_own_until_its_turn_ends_behind_each_wait_too()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions(), "large");
        await Task.Run(
            async () =>
            {
                var turn = await workers.EnterAsync("a");
                var first = Thread.CurrentThread;
                Assert.StartsWith("large", first.Name, StringComparison.Ordinal);
                await Task.Yield();
                Assert.Same(first, Thread.CurrentThread);
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancelled);
                Assert.Same(first, Thread.CurrentThread);
                turn!.Dispose();
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancelled);
                Assert.NotSame(first, Thread.CurrentThread);
            },
            Cancelled);
    }

    [Fact]
    public async Task One_namespace_never_has_all_threads_and_the_others_take_turns()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 2, MaxWaiting = 100 }, "large");
        var free = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var order = new List<string>();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = Task.Run(
            async () =>
            {
                using var turn = await workers.EnterAsync("greedy");
                begun.SetResult();
                await free.Task;
            },
            Cancelled);
        await begun.Task;
        var greedy = Enumerable.Range(0, 10).Select(_ => NoteAsync("greedy")).ToList();

        await NoteAsync("b"); // although ten wait since before, and a thread is free that they may not have
        Assert.Equal(["b"], order);
        free.SetResult();
        await first;
        await Task.WhenAll(greedy);
        Assert.Equal(11, order.Count);

        async Task NoteAsync(string name)
        {
            await Task.Run(
                async () =>
                {
                    using var turn = await workers.EnterAsync(name);
                    lock (order)
                    {
                        order.Add(name);
                    }
                },
                Cancelled);
        }
    }

    [Fact]
    public async Task Who_finds_too_many_waiting_is_refused_and_a_namespace_has_a_quarter_of_the_places()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 1, MaxWaiting = 8 }, "large");
        var free = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = HoldAsync("a", begun);
        await begun.Task;

        var waiting = new[] { "a", "a", "b", "b", "c", "c", "d", "d" }.Select(name => HoldAsync(name)).ToList();
        while (workers.Waiting < 8)
        {
            await Task.Yield();
        }

        Assert.Null(await workers.EnterAsync("a"));
        Assert.Null(await workers.EnterAsync("e"));
        free.SetResult();
        Assert.All(await Task.WhenAll(waiting), Assert.True);
        await running;
        Assert.Equal(0, workers.Waiting);

        Task<bool> HoldAsync(string name, TaskCompletionSource? tells = null) => Task.Run(
            async () =>
            {
                using var turn = await workers.EnterAsync(name);
                tells?.SetResult();
                await free.Task;
                return turn is not null;
            },
            Cancelled);
    }

    [Fact]
    public async Task A_turn_within_a_turn_is_part_of_it()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 1 }, "large");
        await Task.Run(
            async () =>
            {
                using var turn = await workers.EnterAsync("a");
                using (var inner = await workers.EnterAsync("a"))
                {
                    Assert.Same(turn, inner);
                }

                await Task.Yield();
                Assert.StartsWith("large", Thread.CurrentThread.Name, StringComparison.Ordinal);
            },
            Cancelled);
    }

    [Fact]
    public async Task What_fails_in_a_turn_fails_its_caller_and_leaves_the_thread_to_others()
    {
        using var workers = new JsonWorkers(new LargeJsonOptions { Threads = 1 }, "large");
        for (var i = 0; i < 100; i++)
        {
            await Assert.ThrowsAsync<FormatException>(() => Task.Run(
                async () =>
                {
                    using var turn = await workers.EnterAsync("a");
                    await Task.Yield();
                    throw new FormatException();
                },
                Cancelled));
        }

        using var last = await workers.EnterAsync("a");
        Assert.NotNull(last);
    }
}
