using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Entitlement;
using Frusta.Controller.Invocation;
using Microsoft.AspNetCore.Http;

namespace Frusta.Controller.Api;

/// <summary><c>POST .../triggers/name</c>.</summary>
public sealed class FireApi(Admit admit, CheckActivate check, FireTrigger fire, LimitsOptions limits)
{
    private static readonly JsonWriterOptions Options = new() { Encoder = LeastEscaping.Instance };

    /// <summary>Answers a fire in OpenWhisk's order: throttle, entitlement, size, body, existence.</summary>
    public async ValueTask<ApiAnswer> FireAsync(ApiCall call, FullyQualifiedName trigger)
    {
        var caller = call.Caller;
        if (admit.Fire(caller) is { IsAdmitted: false } throttled)
        {
            return ApiAnswer.Error(429, throttled.Text);
        }

        if (await check(caller, EntityKind.Trigger, trigger, call.Aborted) is { } forbidden)
        {
            return forbidden;
        }

        var (body, refusal) = await call.ReadBodyAsync(limits.PayloadBytes(caller.Limits));
        if (refusal is { } refused)
        {
            return refused;
        }

        using (body)
        {
            using var headers = Headers(call.Context.Request.Headers);
            var request = new FireRequest(caller, trigger, body!.Memory, headers.Memory, call.TransactionId, call.ExtraLogging);
            var answer = await fire.RunAsync(request, call.Aborted);
            return answer.Problem switch
            {
                InvokeProblem.None => answer.Id is { } id ? InvokeApi.Accepted(id) : ApiAnswer.NoContent(),
                InvokeProblem.NamespaceFull => InvokeRefusal.Of(answer.Problem, null, admit.NamespaceFull(caller)),
                _ => InvokeRefusal.Of(answer.Problem, null, default),
            };
        }
    }

    /// <summary>
    /// The headers as actions see them: names in lower case, of a repeated header the last value. Headers that describe the
    /// body are left out, since the action does not get the body as it was sent.
    /// </summary>
    private static PooledBuffer Headers(IHeaderDictionary headers)
    {
        var buffer = PooledBuffer.Rent();
        using var json = new Utf8JsonWriter(buffer, Options);
        json.WriteStartObject();
        foreach (var (name, values) in headers)
        {
            if (values.Count > 0 && !IsLeftOut(name))
            {
                json.WriteString(name.ToLowerInvariant(), values[^1]);
            }
        }

        json.WriteEndObject();
        json.Flush();
        return buffer;
    }

    private static bool IsLeftOut(string name) =>
        name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)
        || name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase)
        || name.Equals("X-OW-EXTRA-LOGGING", StringComparison.OrdinalIgnoreCase);
}
