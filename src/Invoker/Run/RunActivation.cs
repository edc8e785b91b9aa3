using System.Runtime.CompilerServices;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Runtimes;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Run;

/// <summary>How the run of an activation ended, or why it did not begin.</summary>
/// <param name="Finished">The record; null when nothing has begun, for the reason in <paramref name="NotBegun"/>.</param>
/// <param name="KeepSandbox">True when the sandbox may serve the next activation.</param>
/// <param name="NotBegun">Why nothing has begun.</param>
internal readonly record struct RunEnd(FinishedActivation? Finished, bool KeepSandbox, NotBegun NotBegun = NotBegun.SandboxDead);

/// <summary>Why an activation that had a sandbox did not begin.</summary>
internal enum NotBegun : byte
{
    SandboxDead,

    /// <summary>The action was updated or deleted since the activation came.</summary>
    CodeGone,

    /// <summary>The server stops, and will run the activation after its next start.</summary>
    LeftForNextStart,
}

/// <summary>One activation in one sandbox, from the code to the record: the plot on this side of the bus.</summary>
/// <remarks>
/// The activation has its sandbox: a warm one, a specialised stem cell, or a new one.
/// <list type="number">
/// <item>read the code, when the sandbox is not initialised;</item>
/// <item>promise: from now on the activation does not run again after a crash;</item>
/// <item>initialise, when the sandbox is not: the code goes to the runtime;</item>
/// <item>run: the arguments go into the frame as the bytes that came;</item>
/// <item>judge: the answer, the clock and the kernel say how it ended;</item>
/// <item>collect the output;</item>
/// <item>write the record.</item>
/// </list>
/// The caller gives the sandbox back and hands the record to the bus.
/// </remarks>
internal sealed partial class RunActivation(IEntityStore store, LimitsOptions limits, PoolClock clock, RunTimer timer, ILogger logger)
{
    // To ask the kernel which processes it killed costs as much as a short run, and a run shorter than this has no time to fill the memory.
    private static readonly TimeSpan FillsMemory = TimeSpan.FromMilliseconds(10);

    // Longer arguments and code are copied into their frame on a thread of the pool, since other sandboxes wait for an event loop.
    private const int LongBytes = 64 * 1024;

    /// <summary>True once the server breaks off the runs that have not ended.</summary>
    public bool Interrupting { get; set; }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<RunEnd> RunAsync(LiveSandbox live, QueuedActivation activation)
    {
        if (live.IsDead)
        {
            return default;
        }

        var message = activation.Message;
        var result = PooledBuffer.Rent();
        var times = new RunTimes { WaitEndMs = clock.NowMs };
        Spans.Begin("queue", message, sinceMs: message.ArrivedMs)?.Dispose();
        try
        {
            // 1 Read the code.
            byte[]? code = null;
            if (!live.Slot.Initialised && activation.Action.CodeAttachment is { } attachment)
            {
                code = await store.GetCodeAsync(activation.Action.Name.DocumentId, attachment, CancellationToken.None);
                if (code is null)
                {
                    return new RunEnd(null, KeepSandbox: false, NotBegun.CodeGone);
                }
            }

            if (Interrupting && activation.Delivery.CanWait())
            {
                return new RunEnd(null, KeepSandbox: true, NotBegun.LeftForNextStart);
            }

            // 2 Promise.
            if (!activation.Delivery.TryStart())
            {
                return new RunEnd(FallbackRecord.Write(message, ActivationStatus.WhiskError, ExecutionTexts.Interrupted, clock.NowMs), KeepSandbox: true);
            }

            LogStarted(message.Id, live.Runnable.Sandbox.Label, live.Slot.Initialised);
            live.Runnable.BeginOutput((long)activation.Action.Limits.LogsMb << 20);

            // 3 Initialise.
            if (!live.Slot.Initialised)
            {
                times = times with { WaitEndMs = clock.NowMs };
                var (failure, initMs) = await InitialiseAsync(live, activation, code, result);
                times = times with { InitMs = initMs };
                if (failure is { } failed)
                {
                    LogRan(message.Id, failed.Status, initMs, milliseconds: 0);
                    await ReadOutputAsync(live);
                    return Record(live, activation, failed, times, result);
                }

                activation.Entry.Slots.RunBegan(live.Slot, clock.NowUs);
            }

            // 4 Run.
            InvokerMetrics.RunBegan(warm: times.InitMs is null);
            if (IsLongHere(message.Content.Length))
            {
                await Task.Yield();
            }

            var request = RunRequest.Compose(message, activation.Entry, clock.NowMs + activation.Action.Limits.TimeoutMs);
            var began = clock.Time.GetTimestamp();
            timer.Limit(live, activation.Action.Limits.TimeoutMs);
            var running = Spans.Begin("run", message);
            var answer = await live.Runnable.Runtime.RunAsync(message.Id, request.Memory, CancellationToken.None);
            running?.Dispose();
            var inTime = live.ClearDeadline();
            var took = clock.Time.GetElapsedTime(began);
            request.Dispose();
            InvokerMetrics.RunEnded(took);
            times = times with { RunMs = (long)took.TotalMilliseconds };

            // 5 Judge. The kernel counts a process that it kills for want of memory before it kills it, so that the count is true by now.
            var timeout = Timeout(activation, took, inTime);
            var exhausted = timeout is null && answer.Kind == RuntimeAnswerKind.Closed && live.Runnable.Sandbox.MemoryExhausted;
            var verdict = Interrupting && answer.Kind == RuntimeAnswerKind.Closed
                ? Interrupted(result)
                : ClassifyAnswer.OfRun(answer, timeout, exhausted, BoundsOf(message), result);
            answer.Body?.Dispose();
            verdict = verdict with { BreaksSandbox = answer.Kind is not (RuntimeAnswerKind.Answered or RuntimeAnswerKind.TooLarge) };
            if (took >= FillsMemory && verdict.KeepsSandbox)
            {
                live.Runnable.Sandbox.ForgetKills();
            }

            // 6 Collect the output, 7 write the record.
            LogRan(message.Id, verdict.Status, times.InitMs ?? 0, times.RunMs);
            await ReadOutputAsync(live);
            return Record(live, activation, verdict, times, result);
        }
        catch (Exception exception)
        {
            LogRunFailed(exception, message.Id.ToString(), live.Runnable.Sandbox.Label);
            return new RunEnd(FallbackRecord.Write(message, ActivationStatus.WhiskError, ExecutionTexts.ExitedDuringRun, clock.NowMs), KeepSandbox: false);
        }
        finally
        {
            result.Dispose();
        }
    }

    /// <summary>Hands the code to the runtime. Gives a verdict when that failed, and the milliseconds that it took.</summary>
    private async ValueTask<(Verdict? Failure, long TookMs)> InitialiseAsync(LiveSandbox live, QueuedActivation activation, byte[]? code, PooledBuffer result)
    {
        var timeoutMs = activation.Action.Limits.TimeoutMs;
        InvokerMetrics.InitBegan(live.StemCell);
        if (IsLongHere(activation.Message.Content.Length + (code?.Length ?? 0)))
        {
            await Task.Yield();
        }

        using var request = InitRequest.Compose(activation.Message, activation.Action, code, clock.NowMs + timeoutMs);
        var began = clock.Time.GetTimestamp();
        timer.Limit(live, timeoutMs);
        using var span = Spans.Begin("init", activation.Message);
        var answer = await live.Runnable.Runtime.InitializeAsync(activation.Message.Id, request.Memory, CancellationToken.None);
        var inTime = live.ClearDeadline();
        var took = clock.Time.GetElapsedTime(began);
        var tookMs = (long)took.TotalMilliseconds;
        InvokerMetrics.InitEnded(took);
        var timeout = Timeout(activation, took, inTime);
        if (timeout is null && answer is { Kind: RuntimeAnswerKind.Answered, Ok: true })
        {
            answer.Body?.Dispose();
            return (null, tookMs);
        }

        var exhausted = timeout is null && answer.Kind == RuntimeAnswerKind.Closed && live.Runnable.Sandbox.MemoryExhausted;
        var verdict = Interrupting && answer.Kind == RuntimeAnswerKind.Closed
            ? Interrupted(result)
            : ClassifyAnswer.OfInit(answer, timeout, exhausted, BoundsOf(activation.Message), result);
        answer.Body?.Dispose();
        return (verdict, tookMs);
    }

    /// <summary>True when so many bytes are too long for this thread, since it is an event loop.</summary>
    private static bool IsLongHere(long bytes) => bytes > LongBytes && !Thread.CurrentThread.IsThreadPoolThread;

    /// <summary>The action's limit in milliseconds if it was exceeded, else null: the clock decides, whatever the answer.</summary>
    private static int? Timeout(QueuedActivation activation, TimeSpan took, bool inTime)
    {
        var limit = activation.Action.Limits.TimeoutMs;
        return !inTime || took.TotalMilliseconds >= limit ? limit : null;
    }

    private ResultBounds BoundsOf(ActivationMessage message)
    {
        var own = message.User.Limits;
        long most = limits.MaxPayloadBytes;
        return new ResultBounds(Math.Min(own.MaxPayloadSize ?? most, most), Math.Min(own.TruncationSize ?? most, most));
    }

    private static Verdict Interrupted(PooledBuffer result)
    {
        ClassifyAnswer.WriteError(result, ExecutionTexts.Interrupted);
        return new Verdict(ActivationStatus.WhiskError);
    }

    /// <summary>Reads the output. When it is long, moves to a thread of the pool, where it is read and recorded without holding up an event loop.</summary>
    private static async ValueTask ReadOutputAsync(LiveSandbox live)
    {
        if (!live.Runnable.TryReadOutput())
        {
            await Task.Yield();
        }
    }

    private static RunEnd Record(LiveSandbox live, QueuedActivation activation, Verdict verdict, RunTimes times, PooledBuffer result)
    {
        using var span = Spans.Begin("record", activation.Message);
        InvokerMetrics.LogsCollected();
        var logs = live.Runnable.CollectOutput(failed: verdict.Status == ActivationStatus.DeveloperError, verdict.LastWords);
        var message = activation.Message;
        var startMs = times.WaitEndMs;
        var record = new ActivationRecord
        {
            Id = message.Id,
            Namespace = message.User.NamespaceName,
            Name = activation.Action.Name.Name,
            Version = activation.Action.Version,
            Subject = message.User.Subject,
            Cause = message.Cause,
            StartMs = startMs,
            EndMs = startMs + (times.InitMs ?? 0) + times.RunMs,
            Status = verdict.Status,
            Result = result.Span,
            ResponseSize = verdict.Size,
            Logs = logs.Json is { } lines ? lines.Span : [],
            Action = activation.Action.Name,
            Kind = activation.Action.Kind,
            Limits = activation.Action.Limits,
            TimedOut = verdict.TimedOut,
            WaitMs = Math.Max(0, times.WaitEndMs - message.ArrivedMs),
            InitMs = times.InitMs,
            Binding = message.Binding,
        };
        var filter = message.Binding is null ? activation.Entry.FilterName : ActivationRecordWriter.FilterName(activation.Action.Name, message.Binding);
        var finished = ActivationRecordWriter.Finish(record, filter, store: message.User.Limits.StoreActivations != false);
        logs.Json?.Dispose();
        return new RunEnd(finished, verdict.KeepsSandbox && !logs.Truncated);
    }

    /// <summary>Milliseconds: since 1970 for the end of the wait, else durations.</summary>
    private readonly record struct RunTimes(long WaitEndMs, long? InitMs, long RunMs);

    [LoggerMessage(7002, LogLevel.Debug, "Activation {Id}: starts in sandbox {Sandbox}, initialised {IsInitialised}")]
    private partial void LogStarted(ActivationId id, string sandbox, bool isInitialised);

    [LoggerMessage(7003, LogLevel.Debug, "Activation {Id}: ended as {Status}, {InitMilliseconds} ms to initialise and {Milliseconds} ms to run")]
    private partial void LogRan(ActivationId id, ActivationStatus status, long initMilliseconds, long milliseconds);

    [LoggerMessage(7001, LogLevel.Error, "Activation {Id} failed in sandbox {Sandbox} by an error of the server; it gets a record that says its sandbox exited.")]
    private partial void LogRunFailed(Exception exception, string id, string sandbox);
}
