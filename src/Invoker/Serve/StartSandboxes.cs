using System.Diagnostics;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Frusta.Runtimes;
using Frusta.Sandboxes;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Serve;

/// <summary>Starts the sandboxes that the pool wants, gives a stem cell to an action, and ends sandboxes.</summary>
/// <remarks>
/// A start may take <see cref="InvokerOptions.StartTimeoutMs"/>. The pool is told how it ended, and decides whether another start is tried and how many run
/// at a time; this class only counts the failures in a row, for the health of the invoker.
/// </remarks>
/// <param name="options">How long a start may take, and how many may fail before the invoker is unhealthy.</param>
/// <param name="factory">Makes sandboxes with a runtime in them.</param>
/// <param name="entries">The actions, which say whether their sandboxes may reach other hosts.</param>
/// <param name="events">Tells the pool how it ended.</param>
/// <param name="clock">The clock.</param>
/// <param name="timer">Knows all sandboxes that are up.</param>
/// <param name="logger">Where failures go.</param>
/// <param name="stopping">Ends the starts that are under way.</param>
internal sealed partial class StartSandboxes(
    InvokerOptions options,
    ISandboxFactory factory,
    ActionEntries entries,
    PoolEvents events,
    PoolClock clock,
    RunTimer timer,
    ILogger logger,
    CancellationToken stopping)
{
    private readonly ILogger _logger = logger;
    private int _failed;

    /// <summary>False when the last starts have all failed.</summary>
    public bool Succeed => Volatile.Read(ref _failed) < options.Pool.StartTries;

    /// <summary>Starts a sandbox for the slot: one of the slot's owner, or a stem cell where the slot has none. Never throws.</summary>
    public async Task StartAsync(Slot slot)
    {
        // The caller goes on at once: it may be an event loop with an activation to serve.
        await Task.Yield();
        Debug.Assert(slot.Content is null);
        var began = clock.NowUs;
        LiveSandbox live;
        try
        {
            live = await TryStartAsync(slot);
        }
        catch (Exception exception)
        {
            if (!stopping.IsCancellationRequested)
            {
                InvokerMetrics.StartFailed();
                Interlocked.Increment(ref _failed);
                TellOfFailure(exception, slot.Family);
            }

            events.Tell((room, now, actions) => room.StartFailed(slot, wasCell: false, now, actions));
            return;
        }

        Volatile.Write(ref _failed, 0);
        slot.Content = live;
        slot.Pause.IsPossible = live.Runnable.Sandbox.CanPause;
        timer.Add(live);
        LogStarted(live.Runnable.Sandbox.Label, (clock.NowUs - began) / 1000);
        events.Tell((room, now, actions) => room.Started(slot, Math.Max(1, now - began), now, actions));
        _ = WatchExitAsync(live);
    }

    /// <summary>
    /// Gives the stem cell in the slot the memory and the network of the action that owns the slot now. If that fails, ends the cell and gives false.
    /// </summary>
    public bool TrySpecialise(Slot slot)
    {
        var live = (LiveSandbox)slot.Content!;
        try
        {
            live.Runnable.Sandbox.LimitMemory((int)(slot.LimitBytes >> 20));
            Confine(live.Runnable, slot);
            return true;
        }
        catch (Exception exception)
        {
            TellOfFailure(exception, slot.Family);
            _ = EndAsync(live);
            return false;
        }
    }

    /// <summary>Ends the sandbox in the slot. Never throws.</summary>
    public async Task StopAsync(Slot slot)
    {
        await Task.Yield();
        await EndAsync((LiveSandbox)slot.Content!);
        events.Tell((room, now, actions) => room.Stopped(slot, now, actions));
    }

    private async Task<LiveSandbox> TryStartAsync(Slot slot)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.StartTimeoutMs), clock.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stopping);
        var runnable = await factory.StartAsync(slot.Family, (int)(slot.LimitBytes >> 20), ahead: slot.Owner is null, either.Token);
        try
        {
            Confine(runnable, slot);
            return new LiveSandbox(slot, runnable, stemCell: slot.Owner is null);
        }
        catch
        {
            await EndAsync(runnable);
            throw;
        }
    }

    /// <summary>Takes the network from the sandbox if its action may not have one. A stem cell keeps its network until it is specialised.</summary>
    private void Confine(RunnableSandbox runnable, Slot slot)
    {
        if (slot.Owner is { } owner && !entries[owner.Key].Action.AllowNetwork)
        {
            runnable.Sandbox.DenyNetwork();
        }
    }

    private async Task WatchExitAsync(LiveSandbox live)
    {
        var exit = await live.Runnable.Sandbox.Exited;
        LogExited(live.Runnable.Sandbox.Label, exit.ExitCode);
        events.Tell((room, now, actions) => room.Died(live.Slot, now, actions));
    }

    private async Task EndAsync(LiveSandbox live)
    {
        await EndAsync(live.Runnable);
        timer.Remove(live);
    }

    private async Task EndAsync(RunnableSandbox runnable)
    {
        try
        {
            await runnable.DisposeAsync();
        }
        catch (Exception exception)
        {
            LogStopFailed(exception, runnable.Sandbox.Label);
        }
    }

    private void TellOfFailure(Exception exception, string family)
    {
        if (exception is SandboxStartException)
        {
            LogStartFailed(exception.Message);
        }
        else
        {
            LogStartBroke(exception, family);
        }
    }

    /// <summary>The reason holds what the sandbox wrote before it ended too soon; a stack trace of the server would add nothing.</summary>
    [LoggerMessage(7010, LogLevel.Warning, "{Reason}")]
    private partial void LogStartFailed(string reason);

    [LoggerMessage(7019, LogLevel.Warning, "A sandbox for {Family} did not come up, by an error of the server.")]
    private partial void LogStartBroke(Exception exception, string family);

    [LoggerMessage(7011, LogLevel.Debug, "Sandbox {Sandbox} is up after {Milliseconds} ms.")]
    private partial void LogStarted(string sandbox, long milliseconds);

    [LoggerMessage(7012, LogLevel.Debug, "Sandbox {Sandbox} has ended with {ExitCode}.")]
    private partial void LogExited(string sandbox, int exitCode);

    [LoggerMessage(7013, LogLevel.Error, "Sandbox {Sandbox} could not be ended; its processes may still be there.")]
    private partial void LogStopFailed(Exception exception, string sandbox);
}
