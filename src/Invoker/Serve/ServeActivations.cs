using System.Diagnostics;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Frusta.Runtimes;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Serve;

/// <summary>Takes back an activation that its sandbox did not begin.</summary>
internal interface IReceiveAgain
{
    /// <summary>The sandbox was dead: the activation needs another one. False when the queues are full, so that it cannot wait for one.</summary>
    bool TryEnterAgain(QueuedActivation activation);

    /// <summary>The store has no code of that revision any more: the activation runs the action as it is now.</summary>
    void ResolveAgain(QueuedActivation activation);
}

/// <summary>
/// Serves activations in the sandboxes that the pool has found for them, and hands their records to the bus. The pool decides which sandbox and when,
/// <see cref="RunActivation"/> how an activation ends.
/// </summary>
/// <remarks>
/// 1 run the activation   2 give the sandbox back, and begin the next run in it   3 hand on the record: after step 2, so that a client that calls again at
/// once finds the sandbox free   4 tell the pool of a sandbox to be ended, or of an idle one while other actions wait for room.
/// </remarks>
internal sealed partial class ServeActivations : IPoolClient, IDisposable
{
    private const int DeepestNesting = 8;

    [ThreadStatic]
    private static int _nesting;

    private readonly PoolClock _clock;
    private readonly RunActivation _run;
    private readonly ILogger _logger;
    private readonly SeldomLine _refused;

    public ServeActivations(InvokerOptions options, LimitsOptions limits, IEntityStore store, ISandboxFactory factory, PoolClock clock, ILogger logger)
    {
        _clock = clock;
        _logger = logger;
        _refused = new SeldomLine(clock.Time);
        Pool = new PoolDriver(options, factory, clock, this, logger);
        _run = new RunActivation(store, limits, clock, Pool.Timer, logger);
    }

    /// <summary>Finds sandboxes for activations.</summary>
    public PoolDriver Pool { get; }

    /// <summary>Takes the activations that were not begun. To be set before the first activation comes.</summary>
    public IReceiveAgain Again { get; set; } = null!;

    /// <summary>The server stops: a sandbox that closes has been broken off, and waiting activations that are on disk are left to the next start.</summary>
    public void Interrupt() => _run.Interrupting = true;

    public void Dispose() => Pool.Dispose();

    /// <summary>
    /// Begins to serve on this thread: for a warm sandbox the first bytes leave before this returns. Only a deep nesting of calls goes on in a thread of the
    /// pool.
    /// </summary>
    public void Serve(Slot slot, QueuedActivation activation)
    {
        if (_nesting >= DeepestNesting)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static work => _ = work.Serve.ServeAsync(work.Slot, work.Activation), (Serve: this, Slot: slot, Activation: activation), preferLocal: true);
            return;
        }

        _nesting++;
        _ = ServeAsync(slot, activation);
        _nesting--;
    }

    /// <summary>Ends an activation for which the pool has no sandbox, for a reason on the platform's side.</summary>
    public void Refuse(QueuedActivation activation, string error)
    {
        if (!_run.Interrupting)
        {
            Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, error);
        }
        else if (!activation.Delivery.CanWait())
        {
            Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, ExecutionTexts.Interrupted);
        }
    }

    /// <summary>Ends an activation that does not run, with a record that says why.</summary>
    public void Refuse(IDelivery delivery, ExecutableAction action, ActivationStatus status, string error)
    {
        LogNotRun(_logger, delivery.Message.Id, error);
        if (_refused.IsDue(out var count))
        {
            LogRefused(_logger, count, delivery.Message.Id, action.Name, error);
        }

        HandOn(delivery, FallbackRecord.Write(delivery.Message, action, status, error, _clock.NowMs));
    }

    /// <summary>Hands a record to the bus.</summary>
    public void HandOn(IDelivery delivery, FinishedActivation finished)
    {
        try
        {
            delivery.Finished(finished);
        }
        catch (Exception exception)
        {
            LogFinishFailed(exception, finished.Id.ToString());
        }
    }

    /// <summary>Serves the activation, and then those that wait for the same action, one after the other, until none waits or the sandbox ends.</summary>
    private async Task ServeAsync(Slot slot, QueuedActivation activation)
    {
        var live = (LiveSandbox)slot.Content!;
        var slots = activation.Entry.Slots;
        Debug.Assert(live.Slot == slot && slot.Owner == slots, "An activation is given a sandbox of its own action.");

        // 1 Run.
        var running = _run.RunAsync(live, activation);
        while (true)
        {
            var end = await running;
            var ended = activation;

            // 2 Give the sandbox back.
            var next = (QueuedActivation?)slots.Return(slot, end.KeepSandbox, _clock.NowUs, out var stop, out var ask);
            if (next is not null)
            {
                activation = next;
                running = _run.RunAsync(live, next);
            }

            // 3 Hand on the record.
            Finish(ended, end);

            // 4 Tell the pool.
            if (stop)
            {
                Pool.Discard(slot, ask);
            }
            else if (ask)
            {
                Pool.Freed();
            }

            if (next is null)
            {
                return;
            }
        }
    }

    private void Finish(QueuedActivation activation, RunEnd end)
    {
        if (end.Finished is { } finished)
        {
            HandOn(activation.Delivery, finished);
        }
        else if (end.NotBegun == NotBegun.CodeGone)
        {
            Again.ResolveAgain(activation);
        }
        else if (end.NotBegun == NotBegun.SandboxDead && !Again.TryEnterAgain(activation))
        {
            Refuse(activation.Delivery, activation.Action, ActivationStatus.WhiskError, ExecutionTexts.NoSandbox);
        }
    }

    [LoggerMessage(7022, LogLevel.Debug, "Activation {Id}: not run: {Error}")]
    private static partial void LogNotRun(ILogger logger, ActivationId id, string error);

    [LoggerMessage(7023, LogLevel.Information, "Not run, for a reason that is not their code's, since this line was last written: {Count} activations; the last was {Id} of {Action}: {Error}")]
    private static partial void LogRefused(ILogger logger, int count, ActivationId id, FullyQualifiedName action, string error);

    [LoggerMessage(7014, LogLevel.Error, "The record of activation {Id} could not be handed on.")]
    private partial void LogFinishFailed(Exception exception, string id);
}
