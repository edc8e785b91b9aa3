using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;

namespace Frusta.Controller.Api;

/// <summary><c>GET .../limits</c>: the limits that hold for a namespace. Its own limits replace the system's, as far as the system allows.</summary>
public sealed class LimitsApi(LimitsOptions limits)
{
    public ApiAnswer Get(ApiCall call)
    {
        var own = call.Caller.Limits;
        var effective = EffectiveLimits.Of(own, limits);
        var concurrent = own.ConcurrentInvocations ?? limits.ConcurrentInvocations;
        var body = PooledBuffer.Rent();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WriteNumber("invocationsPerMinute", own.InvocationsPerMinute ?? limits.InvocationsPerMinute);
            json.WriteNumber("concurrentInvocations", concurrent);
            json.WriteNumber("firesPerMinute", own.FiresPerMinute ?? limits.FiresPerMinute);
            Range(json, "ActionMemory", effective.Memory);
            Range(json, "ActionLogs", effective.Logs);
            Range(json, "ActionTimeout", effective.Timeout);
            Range(json, "ActionConcurrency", effective.Concurrency);
            json.WriteString("maxParameterSize", $"{Math.Min(own.MaxParameterSize ?? limits.MaxParameterBytes, limits.MaxParameterBytes)} B");
            json.WriteNumber("maxActionInstances", concurrent);
            Further(json, own);
            json.WriteEndObject();
        }

        return ApiAnswer.Ok(body);
    }

    private static void Range(Utf8JsonWriter json, string name, LimitRange range)
    {
        json.WriteNumber("min" + name, range.Least);
        json.WriteNumber("max" + name, range.Most);
    }

    /// <summary>Writes the limits that are shown only for a namespace that has them.</summary>
    private static void Further(Utf8JsonWriter json, NamespaceLimits own)
    {
        if (own.AllowedKinds is { } kinds)
        {
            json.WriteStartArray("allowedKinds");
            foreach (var kind in kinds)
            {
                json.WriteStringValue(kind);
            }

            json.WriteEndArray();
        }

        if (own.StoreActivations is { } store)
        {
            json.WriteBoolean("storeActivations", store);
        }

        if (own.MaxPayloadSize is { } payload)
        {
            json.WriteString("maxPayloadSize", $"{payload} B");
        }

        if (own.TruncationSize is { } truncation)
        {
            json.WriteString("truncationSize", $"{truncation} B");
        }
    }
}
