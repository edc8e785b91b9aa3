using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Serve;

/// <summary>
/// Pauses, resumes and looks at sandboxes for the pool. The time for that grows with the number of tasks in a sandbox, so no event loop does it: one thread
/// of the pool pauses and looks, and at most as many threads as there are cores resume sandboxes that were given an activation.
/// </summary>
internal sealed partial class SandboxPauses
{
    private readonly PoolEvents _events;
    private readonly IPoolClient _client;
    private readonly ILogger _logger;
    private readonly WorkQueue<PoolAction> _idle;
    private readonly WorkQueue<PoolAction> _called;

    /// <param name="events">Tells the pool how it ended.</param>
    /// <param name="client">Serves the activation once its sandbox is resumed.</param>
    /// <param name="logger">Where failures go.</param>
    public SandboxPauses(PoolEvents events, IPoolClient client, ILogger logger)
    {
        (_events, _client, _logger) = (events, client, logger);
        _idle = new WorkQueue<PoolAction>(1, LookAfter);
        _called = new WorkQueue<PoolAction>(Environment.ProcessorCount, Resume);
    }

    /// <summary>Carries out what the pool wants of an idle sandbox: <see cref="PoolActionKind.Pause"/> or <see cref="PoolActionKind.Look"/>.</summary>
    public void Add(PoolAction wanted) => _idle.Add(wanted);

    /// <summary>Resumes the sandbox and then runs the activation in it.</summary>
    public void Resume(Slot slot, QueuedActivation activation) => _called.Add(new PoolAction(PoolActionKind.Resume, slot, activation));

    private void LookAfter(PoolAction wanted)
    {
        var slot = wanted.Slot!;
        var live = (LiveSandbox)slot.Content!;
        if (wanted.Kind == PoolActionKind.Pause)
        {
            var paused = Try(live, static sandbox => sandbox.Pause(), LogPauseFailed);
            _events.Tell((room, now, actions) => room.Paused(slot, paused, now, actions));
        }
        else
        {
            TimeSpan? used = null;
            Try(live, sandbox => used = sandbox.Runnable.Sandbox.MeasureCpuTime(), LogLookFailed);
            _events.Tell((room, now, actions) => room.Looked(slot, (long?)used?.TotalMicroseconds, now, actions));
        }
    }

    private void Resume(PoolAction wanted)
    {
        var live = (LiveSandbox)wanted.Slot!.Content!;
        if (!Try(live, static sandbox => sandbox.Resume(), LogResumeFailed))
        {
            // The sandbox counts as dead now: it is ended, and the activation runs in another sandbox.
            live.Lose();
        }

        _client.Serve(wanted.Slot!, (QueuedActivation)wanted.Item!);
    }

    private static bool Try(LiveSandbox live, Action<LiveSandbox> act, Action<Exception, string> tell)
    {
        try
        {
            act(live);
            return true;
        }
        catch (Exception exception)
        {
            tell(exception, live.Runnable.Sandbox.Label);
            return false;
        }
    }

    [LoggerMessage(7016, LogLevel.Warning, "Sandbox {Sandbox} could not be paused; it is ended.")]
    private partial void LogPauseFailed(Exception exception, string sandbox);

    [LoggerMessage(7017, LogLevel.Warning, "Sandbox {Sandbox} could not be resumed; it is ended, and the activation runs in another one.")]
    private partial void LogResumeFailed(Exception exception, string sandbox);

    [LoggerMessage(7018, LogLevel.Warning,
        "The CPU time of sandbox {Sandbox} could not be measured; if it uses the cores while it is idle, it is paused only after Invoker:Pool:PauseGraceMs.")]
    private partial void LogLookFailed(Exception exception, string sandbox);
}
