using System.Globalization;
using System.Runtime.CompilerServices;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Invocation;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary><c>POST .../actions/[pkg/]name</c>.</summary>
public sealed class InvokeApi(
    Admit admit,
    CheckActivate check,
    InvokeAction invoke,
    LimitsOptions limits)
{
    /// <summary>
    /// Answers a call in OpenWhisk's order: throttles, entitlement, size, query, body, existence, components, final
    /// parameters, kind; then it runs.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<ApiAnswer> InvokeAsync(ApiCall call, FullyQualifiedName action)
    {
        var caller = call.Caller;
        if (admit.Invocation(caller, out var place) is { IsAdmitted: false } throttled)
        {
            return ApiAnswer.Error(429, throttled.Text);
        }

        using var admitted = place!;
        if (await check(caller, EntityKind.Action, action, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var limitBytes = limits.PayloadBytes(caller.Limits);
        if (call.Context.Request.ContentLength is { } announced && announced > limitBytes)
        {
            return ApiAnswer.Error(413, ApiTexts.PayloadTooLarge(announced, limitBytes));
        }

        if (ReadQuery(call.Query, out var blocking, out var resultOnly, out var waitMs) is { } malformed)
        {
            return malformed;
        }

        var (body, refusal) = await call.ReadBodyAsync(limitBytes);
        if (refusal is { } refused)
        {
            return refused;
        }

        using (body)
        {
            var request = new InvokeRequest(caller, admitted, action, body!.Memory, body, blocking, waitMs, call.TransactionId, call.ExtraLogging);
            using var answer = await invoke.RunAsync(request, call.Aborted);
            return answer.Problem == InvokeProblem.NotRunnable && await CheckComponentsAsync(call, answer.Action!) is { } unentitled
                ? unentitled
                : Answer(call, answer, resultOnly);
        }
    }

    /// <summary><c>202</c> with the id.</summary>
    internal static ApiAnswer Accepted(ActivationId id)
    {
        var body = PooledBuffer.Rent();
        body.Write("{\"activationId\":"u8);
        JsonText.WriteId(body, id);
        body.Write("}"u8);
        return new ApiAnswer { Status = 202, Body = body, ActivationId = id };
    }

    private Refusal? ReadQuery(QueryParameters query, out bool blocking, out bool resultOnly, out int waitMs)
    {
        resultOnly = false;
        waitMs = limits.MaxBlockingWaitMs;
        if (!query.Boolean("blocking", byDefault: false).TryGet(out blocking, out var bad)
            || !query.Boolean("result", byDefault: false).TryGet(out resultOnly, out bad))
        {
            return bad;
        }

        if (query["timeout"] is not { } text)
        {
            return null;
        }

        var isInRange = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out waitMs)
            && waitMs >= 1 && waitMs <= limits.MaxBlockingWaitMs;
        return isInRange ? null : Refusal.MalformedQuery("timeout", $"Timeout must be number of milliseconds up to {limits.MaxBlockingWaitMs}.");
    }

    private ApiAnswer Answer(ApiCall call, InvokeAnswer answer, bool resultOnly) => answer.Problem switch
    {
        InvokeProblem.None => answer.Finished is { } finished ? Finished(call, finished, resultOnly) : Accepted(answer.Id),
        InvokeProblem.NamespaceFull => InvokeRefusal.Of(answer.Problem, null, admit.NamespaceFull(call.Caller)),
        _ => InvokeRefusal.Of(answer.Problem, answer.Action?.Executable.Kind, default),
    };

    /// <summary>
    /// The answer with the end of an activation. A long one is sent from the record itself. Where there is no room for that, the client gets the id, with
    /// which it can read the record; or a 503 if the record is not stored.
    /// </summary>
    private static ApiAnswer Finished(ApiCall call, FinishedActivation finished, bool resultOnly)
    {
        var status = FinishedAnswer.StatusCode(finished.Status);
        var length = FinishedAnswer.Length(finished, resultOnly);
        if (length > ByteBudget.SmallBytes)
        {
            return call.TryHold(finished.Record.Length, out var lease)
                ? new ApiAnswer { Status = status, Parts = FinishedAnswer.Parts(finished, resultOnly), Lease = lease, ActivationId = finished.Id }
                : finished.Store ? Accepted(finished.Id) : ApiAnswer.Error(503) with { ActivationId = finished.Id };
        }

        var body = PooledBuffer.Rent(length);
        FinishedAnswer.Write(finished, resultOnly, body);
        return new ApiAnswer { Status = status, Body = body, ActivationId = finished.Id };
    }

    /// <summary>A sequence may run only when the caller may activate each of its direct components.</summary>
    private async ValueTask<ApiAnswer?> CheckComponentsAsync(ApiCall call, ResolvedAction action)
    {
        foreach (var component in action.Action.Exec.Components ?? [])
        {
            if (FullyQualifiedName.Parse(component) is { } name && await check(call.Caller, EntityKind.Action, name, call.Aborted) is { } refused)
            {
                return refused;
            }
        }

        return null;
    }
}
