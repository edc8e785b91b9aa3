using static Frusta.Invoker.Tests.Run.Records;

namespace Frusta.Invoker.Tests.Run;

/// <summary>Idle sandboxes between the pool, the worker that pauses them, and calls that come meanwhile. The pool sweeps once a second, and the grace is nothing here.</summary>
public sealed class PauseTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task An_idle_sandbox_is_paused_and_a_call_finds_it_resumed()
    {
        await using var invoker = await StartAsync();
        await CallAsync(invoker);
        var sandbox = invoker.Factory.Started.Single();
        for (var pauses = 1; pauses <= 2; pauses++)
        {
            await Eventually.TrueAsync(() => sandbox.IsPaused && sandbox.Pauses == pauses);
            await CallAsync(invoker);
        }

        Assert.Equal(3, sandbox.Runs.Count);
        Assert.Single(invoker.Factory.Started);
    }

    [Fact]
    public async Task A_call_that_comes_while_a_pause_is_under_way_is_sent_when_the_sandbox_runs_again()
    {
        await using var invoker = await StartAsync();
        using var pausing = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        invoker.Factory.OnPause = _ =>
        {
            pausing.Set();
            Assert.True(goOn.Wait(Patience));
        };
        await CallAsync(invoker);
        var sandbox = invoker.Factory.Started.Single();
        await Eventually.TrueAsync(() => pausing.IsSet);
        var delivery = invoker.Send(invoker.Action());
        Assert.Single(sandbox.Runs);
        goOn.Set();
        Assert.Equal("success", Text(await delivery.RecordAsync(), "status"));
        Assert.Equal(2, sandbox.Runs.Count);
        Assert.Single(invoker.Factory.Started);
    }

    [Fact]
    public async Task A_call_that_comes_before_its_sandbox_was_paused_keeps_it_from_that()
    {
        await using var invoker = await StartAsync(graceMs: 1500);
        using var pausing = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();

        // One thread pauses, and of those that are due together the action that came last goes first.
        await Task.WhenAll(CallAsync(invoker, "last"), CallAsync(invoker, "taken"), CallAsync(invoker, "first"));
        var (last, taken, first) = (Of(invoker, "last"), Of(invoker, "taken"), Of(invoker, "first"));
        invoker.Factory.OnPause = sandbox =>
        {
            if (sandbox == first)
            {
                pausing.Set();
                Assert.True(goOn.Wait(Patience));
            }
        };
        await Eventually.TrueAsync(() => pausing.IsSet);
        var answer = new TaskCompletionSource<FakeAnswer>();
        invoker.Factory.OnRun = _ => answer.Task;
        var delivery = invoker.Send(invoker.Action("taken"));
        await Eventually.TrueAsync(() => taken.Runs.Count == 2);
        goOn.Set();
        await Eventually.TrueAsync(() => last.IsPaused);
        Assert.False(taken.IsPaused);
        answer.SetResult(new FakeAnswer("{}"));
        Assert.Equal("success", Text(await delivery.RecordAsync(), "status"));
    }

    [Fact]
    public async Task One_that_cannot_be_resumed_is_ended_and_the_call_runs_in_another()
    {
        await using var invoker = await StartAsync();
        await CallAsync(invoker);
        var sandbox = invoker.Factory.Started.Single();
        invoker.Factory.OnResume = static _ => throw new IOException("No such cgroup.");
        await Eventually.TrueAsync(() => sandbox.IsPaused);
        await CallAsync(invoker);
        Assert.Equal(2, invoker.Factory.Started.Count);
        await Eventually.TrueAsync(() => invoker.Factory.Stopped.Contains(sandbox));
    }

    [Fact]
    public async Task One_that_cannot_be_paused_when_it_should_is_ended()
    {
        await using var invoker = await StartAsync();
        invoker.Factory.OnPause = static _ => throw new IOException("No such cgroup.");
        await CallAsync(invoker);
        await Eventually.TrueAsync(() => !invoker.Factory.Stopped.IsEmpty);
        Assert.Equal(0, invoker.Role!.Pool.Idle);
    }

    [Fact]
    public async Task Where_nothing_can_be_paused_one_that_uses_the_cores_is_ended_and_a_quiet_one_stays()
    {
        await using var invoker = await StartAsync();
        invoker.Factory.CanPause = false;
        await CallAsync(invoker, "quiet");
        await CallAsync(invoker, "burning");
        var burning = invoker.Factory.Started.Last();
        var began = TimeProvider.System.GetTimestamp();
        invoker.Factory.OnMeasureCpuTime = sandbox => sandbox == burning ? TimeProvider.System.GetElapsedTime(began) : TimeSpan.FromSeconds(1);
        await Eventually.TrueAsync(() => !invoker.Factory.Stopped.IsEmpty);
        Assert.Same(burning, invoker.Factory.Stopped.Single());
        Assert.Equal(1, invoker.Role!.Pool.Idle);
        Assert.Equal(0, burning.Pauses);
    }

    [Fact]
    public async Task The_idle_sandbox_of_an_action_that_was_deleted_or_replaced_is_ended_and_no_other_is()
    {
        await using var invoker = await StartAsync();
        foreach (var name in (string[])["kept", "deleted", "replaced"])
        {
            await CallAsync(invoker, name);
        }

        var kept = invoker.Factory.Started.First();
        invoker.Store.Documents.TryRemove("guest/deleted", out _);
        invoker.Action("replaced", revision: "2-b");
        foreach (var document in (string[])["guest/kept", "guest/deleted", "guest/replaced", "guest/unknown"])
        {
            invoker.Role!.Invalidated(document);
        }

        await Eventually.TrueAsync(() => invoker.Factory.Stopped.Count == 2);
        Assert.DoesNotContain(kept, invoker.Factory.Stopped);
        Assert.Equal(1, invoker.Role!.Pool.Idle);
    }

    [Fact]
    public async Task A_busy_sandbox_of_an_action_that_was_deleted_is_ended_after_its_run()
    {
        await using var invoker = await StartAsync();
        var answer = new TaskCompletionSource<FakeAnswer>();
        invoker.Factory.OnRun = _ => answer.Task;
        var delivery = invoker.Send(invoker.Action());
        await Eventually.TrueAsync(() => invoker.Role!.Pool.Running == 1);
        invoker.Store.Documents.Clear();
        invoker.Role!.Invalidated("guest/hello");
        answer.SetResult(new FakeAnswer("{}"));
        Assert.Equal("success", Text(await delivery.RecordAsync(), "status"));
        await Eventually.TrueAsync(() => !invoker.Factory.Stopped.IsEmpty);
    }

    [Fact]
    public async Task A_call_with_a_revision_that_was_replaced_before_it_came_leaves_no_sandbox()
    {
        await using var invoker = await StartAsync();
        var old = invoker.Action(revision: "1-a");
        invoker.Action(revision: "2-b");
        Assert.Equal("success", Text(await invoker.Send(old).RecordAsync(), "status"));
        await Eventually.TrueAsync(() => !invoker.Factory.Stopped.IsEmpty);
        await CallAsync(invoker, revision: "2-b");
        Assert.Equal(2, invoker.Factory.Started.Count);
        Assert.Single(invoker.Factory.Stopped);
    }

    private static FakeSandbox Of(InvokerFixture invoker, string action) =>
        invoker.Factory.Started.Single(sandbox => sandbox.Runs.Any(run => run.Contains($"/guest/{action}\"", StringComparison.Ordinal)));

    private static Task<InvokerFixture> StartAsync(int graceMs = 0)
    {
        var fixture = new InvokerFixture();
        fixture.Options.Pool.PauseGraceMs = graceMs;
        return fixture.StartAsync();
    }

    private static async Task CallAsync(InvokerFixture invoker, string name = "hello", string revision = "1-a") =>
        Assert.Equal("success", Text(await invoker.Send(invoker.Action(name, revision: revision)).RecordAsync(), "status"));
}
