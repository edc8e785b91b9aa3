using System.Runtime.CompilerServices;
using Frusta.Bus;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Contracts.Parameters;
using Frusta.Controller.Entities;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Metrics;
using Microsoft.Extensions.Logging;

namespace Frusta.Controller.Invocation;

/// <summary>One call of an action, as the REST API, a rule or a web action makes it.</summary>
/// <param name="Caller">Authenticated and admitted.</param>
/// <param name="Place">Its place in flight. The activation takes it over; if none is made, the caller has to give it back.</param>
/// <param name="Action">The name that was called.</param>
/// <param name="Body">The arguments as they came; an empty body counts as <c>{}</c>. They are copied, not kept.</param>
/// <param name="BodyOwner">Owner of the body, disposed once it is read, long before the call ends; null where other calls still need the body.</param>
/// <param name="Blocking">True when the client waits for the result.</param>
/// <param name="WaitMs">Milliseconds that it waits.</param>
/// <param name="TransactionId">Id of the request.</param>
/// <param name="ForceStore">True when the record is stored whatever the level says.</param>
public readonly record struct InvokeRequest(
    Identity Caller,
    FlightPlace Place,
    FullyQualifiedName Action,
    ReadOnlyMemory<byte> Body,
    IDisposable? BodyOwner,
    bool Blocking,
    int WaitMs,
    string TransactionId,
    bool ForceStore);

/// <summary>Takes a call to the bus, and brings the end back to a client that waits. The plot of an invocation on the controller's side.</summary>
/// <remarks>
/// The caller is authenticated and admitted. Here:
/// 1 resolve package, binding and action   2 merge the arguments   3 refuse the call, where the action may not run with them
/// 4 make the activation                   5 send it on the bus    6 wait for its end   7 answer.
/// Steps 1 to 4 compose an activation; a rule's activation is composed in the same way (<see cref="FireTrigger"/>).
/// A call for which the client does not wait is on disk before it is answered (<c>acceptFirst</c>). A blocking call is not written to the disk,
/// unless the client's wait ends first: then it is written before the client is given its id.
/// </remarks>
public sealed partial class InvokeAction : IDisposable
{
    private readonly ResolveAction _resolve;
    private readonly IBus _bus;
    private readonly JsonWorkers _workers;
    private readonly Func<string, bool> _isRetired;
    private readonly TimeProvider _clock;
    private readonly ILogger<InvokeAction> _log;
    private readonly ActivationWaits _waits;

    /// <param name="resolve">Finds actions.</param>
    /// <param name="bus">The way to the invokers.</param>
    /// <param name="workers">Merges arguments that are too large for an event loop.</param>
    /// <param name="isRetired">Gives true for a kind whose runtime is no longer supported.</param>
    /// <param name="options">Bounds.</param>
    /// <param name="clock">The clock.</param>
    /// <param name="log">The log.</param>
    public InvokeAction(
        ResolveAction resolve,
        IBus bus,
        JsonWorkers workers,
        Func<string, bool> isRetired,
        InvocationOptions options,
        TimeProvider clock,
        ILogger<InvokeAction> log)
    {
        _resolve = resolve;
        _bus = bus;
        _workers = workers;
        _isRetired = isRetired;
        _clock = clock;
        _log = log;
        _waits = new ActivationWaits(clock, options.SpareReplies);
    }

    /// <summary>Runs the call. The caller disposes the answer.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<InvokeAnswer> RunAsync(InvokeRequest request, CancellationToken cancellationToken)
    {
        // 1 to 4.
        var composed = await ComposeAsync(request, cancellationToken);
        if (composed.Problem != InvokeProblem.None)
        {
            return InvokeAnswer.Refused(composed.Problem, composed.Action);
        }

        // 5 Send.
        var id = composed.Message.Id;
        var beganAt = _clock.GetTimestamp();
        ControllerMetrics.ActivationBegan(request.Blocking);
        SendOutcome sent;
        try
        {
            using var span = Spans.Begin("send");

            // Not with the client's token: if a client that goes away cancelled this, it would be unknown whether the message was taken.
            sent = await _bus.SendAsync(composed.Outgoing, acceptFirst: !request.Blocking, CancellationToken.None);
        }
        catch
        {
            // A bus that throws has lost its peer, and it is unknown whether that has the message: so nothing goes back to a pool.
            composed.Wait.GiveUp();
            throw;
        }

        if (sent != SendOutcome.Sent)
        {
            composed.Withdraw();
            return InvokeAnswer.Refused(ProblemOf(sent), composed.Action);
        }

        LogSent(id, request.Blocking);
        if (!request.Blocking)
        {
            ControllerMetrics.ActivationEnded(blocking: false, _clock.GetElapsedTime(beganAt));
            return InvokeAnswer.Accepted(id, composed.Action!);
        }

        // 6 Wait. A client that goes away meanwhile changes nothing: the activation runs, and its end is dropped here.
        var waiting = Spans.Begin("wait");
        var ended = await composed.Wait.WaitAsync(request.WaitMs);
        waiting?.Dispose();
        var finished = composed.Wait.TakeFinished(ended);

        // 7 Answer.
        if (finished is null && ended)
        {
            sent = SendOutcome.Full;
        }
        else if (finished is null)
        {
            LogWaitEnded(id, request.WaitMs);
            sent = await _bus.AcceptSentAsync(id, CancellationToken.None);
        }
        else
        {
            LogEnded(id, finished.Status);
        }

        ControllerMetrics.ActivationEnded(blocking: true, _clock.GetElapsedTime(beganAt));
        return finished is not null ? InvokeAnswer.Ended(finished, composed.Action!)
            : sent == SendOutcome.Sent ? InvokeAnswer.Accepted(id, composed.Action!)
            : InvokeAnswer.Refused(ProblemOf(sent), composed.Action);
    }

    public void Dispose() => _waits.Dispose();

    /// <summary>Makes the activation of a call, or says why there is none.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<ComposedActivation> ComposeAsync(InvokeRequest request, CancellationToken cancellationToken)
    {
        var arrivedMs = _clock.GetUtcNow().ToUnixTimeMilliseconds();
        using var span = Spans.Begin("compose");

        // 1 Resolve. A fault of the body is reported before one of the action, so the body is read in any case.
        var (found, action) = await _resolve.FindAsync(request.Action, cancellationToken);

        // 2 Merge and 3 refuse.
        var (problem, content) = await PrepareAsync(request, found, action);
        request.BodyOwner?.Dispose();
        if (content is null)
        {
            return new ComposedActivation(problem, action);
        }

        // 4 Make the activation.
        var wait = _waits.Begin(request.Place.TakeOver(), request.Blocking);
        var message = Message(request, arrivedMs, action!, content);
        LogComposed(message.Id, request.Action, request.TransactionId);
        return new ComposedActivation(message, wait, action!);
    }

    internal static InvokeProblem ProblemOf(SendOutcome sent) => sent switch
    {
        SendOutcome.TooLarge => InvokeProblem.TooLarge,
        SendOutcome.NamespaceFull => InvokeProblem.NamespaceFull,
        _ => InvokeProblem.Full,
    };

    internal static InvokeProblem ProblemOf(ResolveOutcome found) => found switch
    {
        ResolveOutcome.Found => InvokeProblem.None,
        ResolveOutcome.NotFound => InvokeProblem.NotFound,
        ResolveOutcome.OtherCollection => InvokeProblem.OtherCollection,
        _ => InvokeProblem.Corrupt,
    };

    /// <summary>Merges on this thread, or on a thread for large JSON when there is too much for an event loop.</summary>
    private ValueTask<(InvokeProblem Problem, PooledBuffer? Content)> PrepareAsync(InvokeRequest request, ResolveOutcome found, ResolvedAction? action) =>
        _workers.IsLarge(request.Body.Length + (action?.Parameters.SizeBytes ?? 0L))
            ? PrepareApartAsync(request, found, action)
            : new(Prepare(found, action, request.Body.Span));

    private ValueTask<(InvokeProblem Problem, PooledBuffer? Content)> PrepareApartAsync(InvokeRequest request, ResolveOutcome found, ResolvedAction? action) =>
        _workers.RunLargeAsync(request.Caller.NamespaceUuid, () => new(Prepare(found, action, request.Body.Span)), (InvokeProblem.Full, (PooledBuffer?)null));

    private (InvokeProblem Problem, PooledBuffer? Content) Prepare(ResolveOutcome found, ResolvedAction? action, ReadOnlySpan<byte> body)
    {
        var parameters = action?.Parameters ?? ParameterLayer.Empty;
        var content = PooledBuffer.Rent(body.Length + parameters.SizeBytes + 2);
        var merged = MergeArguments.Merge(body, parameters, action is { IsFinal: true }, content);
        var problem = merged switch
        {
            MergeOutcome.Malformed => InvokeProblem.Malformed,
            MergeOutcome.NotAnObject => InvokeProblem.NotAnObject,
            _ when found != ResolveOutcome.Found => ProblemOf(found),
            _ when action!.Action.Exec.IsSequence => InvokeProblem.NotRunnable,
            MergeOutcome.NamesFinal => InvokeProblem.NamesFinal,
            _ when _isRetired(action.Action.Exec.Kind) => InvokeProblem.KindRetired,
            _ when action.IsConductor => InvokeProblem.NotRunnable,
            _ => InvokeProblem.None,
        };
        if (problem == InvokeProblem.None)
        {
            return (problem, content);
        }

        content.Dispose();
        return (problem, null);
    }

    private ActivationMessage Message(InvokeRequest request, long arrivedMs, ResolvedAction action, PooledBuffer content) => new()
    {
        Id = ActivationId.New(_clock),
        TransactionId = request.TransactionId,
        ArrivedMs = arrivedMs,
        Action = action.Action.Name,
        ActionVersion = action.Action.Version,
        ActionRevision = action.Action.Revision,
        User = request.Caller,
        Blocking = request.Blocking,
        Content = content,
        InitArguments = action.Parameters.InitNames,
        Binding = action.Binding,
        ForceStore = request.ForceStore,
        TraceParent = Spans.Current,
    };

    [LoggerMessage(8100, LogLevel.Debug, "Activation {ActivationId}: composed for action {Action} (transaction {TransactionId})")]
    private partial void LogComposed(ActivationId activationId, FullyQualifiedName action, string transactionId);

    [LoggerMessage(8101, LogLevel.Debug, "Activation {ActivationId}: sent, blocking {Blocking}")]
    private partial void LogSent(ActivationId activationId, bool blocking);

    [LoggerMessage(8102, LogLevel.Debug, "Activation {ActivationId}: its client's wait of {WaitMs} ms has ended first")]
    private partial void LogWaitEnded(ActivationId activationId, int waitMs);

    [LoggerMessage(8103, LogLevel.Debug, "Activation {ActivationId}: its client is answered, status {Status}")]
    private partial void LogEnded(ActivationId activationId, ActivationStatus status);
}
