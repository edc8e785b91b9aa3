using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Limits;

namespace Frusta.Controller.Api;

/// <summary>The limits that hold for a namespace: the system's, with the namespace's own over them as far as the system lets them.</summary>
public sealed class LimitsApi(LimitsOptions limits)
{
    public ApiAnswer Get(ApiCall call)
    {
        var own = call.Caller.Limits;
        var concurrent = own.ConcurrentInvocations ?? limits.ConcurrentInvocations;
        var body = PooledBuffer.Rent();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WriteNumber("invocationsPerMinute", own.InvocationsPerMinute ?? limits.InvocationsPerMinute);
            json.WriteNumber("concurrentInvocations", concurrent);
            json.WriteNumber("firesPerMinute", own.FiresPerMinute ?? limits.FiresPerMinute);
            Range(json, "ActionMemory", own.MinActionMemory, own.MaxActionMemory, limits.MinActionMemoryMb, limits.MaxActionMemoryMb);
            Range(json, "ActionLogs", own.MinActionLogs, own.MaxActionLogs, 0, limits.MaxActionLogsMb);
            Range(json, "ActionTimeout", own.MinActionTimeout, own.MaxActionTimeout, limits.MinActionTimeoutMs, limits.MaxActionTimeoutMs);
            Range(json, "ActionConcurrency", own.MinActionConcurrency, own.MaxActionConcurrency, 1, limits.MaxActionConcurrency);
            json.WriteString("maxParameterSize", $"{Math.Min(own.MaxParameterSize ?? limits.MaxParameterBytes, limits.MaxParameterBytes)} B");
            json.WriteNumber("maxActionInstances", concurrent);
            Further(json, own);
            json.WriteEndObject();
        }

        return ApiAnswer.Ok(body);
    }

    private static void Range(Utf8JsonWriter json, string name, int? least, int? greatest, int systemLeast, int systemGreatest)
    {
        json.WriteNumber("min" + name, Math.Clamp(least ?? systemLeast, systemLeast, systemGreatest));
        json.WriteNumber("max" + name, Math.Clamp(greatest ?? systemGreatest, systemLeast, systemGreatest));
    }

    /// <summary>What is shown only where the namespace has it.</summary>
    private static void Further(Utf8JsonWriter json, Contracts.Entities.NamespaceLimits own)
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
