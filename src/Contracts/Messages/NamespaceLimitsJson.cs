using System.Globalization;
using System.Text.Json;
using Frusta.Contracts.Entities;

namespace Frusta.Contracts.Messages;

/// <summary>A namespace's own limits as OpenWhisk writes them: in messages and in its limits documents.</summary>
public static class NamespaceLimitsJson
{
    public static void Write(Utf8JsonWriter json, NamespaceLimits limits)
    {
        json.WriteStartObject();
        Number(json, "invocationsPerMinute"u8, limits.InvocationsPerMinute);
        Number(json, "concurrentInvocations"u8, limits.ConcurrentInvocations);
        Number(json, "firesPerMinute"u8, limits.FiresPerMinute);
        if (limits.AllowedKinds is { } kinds)
        {
            json.WriteStartArray("allowedKinds"u8);
            foreach (var kind in kinds)
            {
                json.WriteStringValue(kind);
            }

            json.WriteEndArray();
        }

        if (limits.StoreActivations is { } store)
        {
            json.WriteBoolean("storeActivations"u8, store);
        }

        Number(json, "minActionMemory"u8, limits.MinActionMemory);
        Number(json, "maxActionMemory"u8, limits.MaxActionMemory);
        Number(json, "minActionLogs"u8, limits.MinActionLogs);
        Number(json, "maxActionLogs"u8, limits.MaxActionLogs);
        Number(json, "minActionTimeout"u8, limits.MinActionTimeout);
        Number(json, "maxActionTimeout"u8, limits.MaxActionTimeout);
        Number(json, "minActionConcurrency"u8, limits.MinActionConcurrency);
        Number(json, "maxActionConcurrency"u8, limits.MaxActionConcurrency);
        Size(json, "maxParameterSize"u8, limits.MaxParameterSize);
        Size(json, "maxPayloadSize"u8, limits.MaxPayloadSize);
        Size(json, "truncationSize"u8, limits.TruncationSize);
        json.WriteEndObject();
    }

    /// <summary>Reads limits. If a single member cannot be read, none counts, as in OpenWhisk.</summary>
    public static NamespaceLimits Read(JsonElement limits)
    {
        try
        {
            return limits.ValueKind != JsonValueKind.Object ? NamespaceLimits.None : new NamespaceLimits
            {
                InvocationsPerMinute = Number(limits, "invocationsPerMinute"),
                ConcurrentInvocations = Number(limits, "concurrentInvocations"),
                FiresPerMinute = Number(limits, "firesPerMinute"),
                AllowedKinds = Kinds(limits),
                StoreActivations = Given(limits, "storeActivations", out var store) ? store.GetBoolean() : null,
                MinActionMemory = Number(limits, "minActionMemory"),
                MaxActionMemory = Number(limits, "maxActionMemory"),
                MinActionLogs = Number(limits, "minActionLogs"),
                MaxActionLogs = Number(limits, "maxActionLogs"),
                MinActionTimeout = Number(limits, "minActionTimeout"),
                MaxActionTimeout = Number(limits, "maxActionTimeout"),
                MinActionConcurrency = Number(limits, "minActionConcurrency"),
                MaxActionConcurrency = Number(limits, "maxActionConcurrency"),
                MaxParameterSize = Size(limits, "maxParameterSize"),
                MaxPayloadSize = Size(limits, "maxPayloadSize"),
                TruncationSize = Size(limits, "truncationSize"),
            };
        }
        catch (Exception bad) when (bad is InvalidOperationException or FormatException or OverflowException)
        {
            return NamespaceLimits.None;
        }
    }

    private static void Number(Utf8JsonWriter json, ReadOnlySpan<byte> name, int? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
    }

    private static void Size(Utf8JsonWriter json, ReadOnlySpan<byte> name, long? value)
    {
        if (value is { } bytes)
        {
            json.WriteString(name, string.Create(CultureInfo.InvariantCulture, $"{bytes} B"));
        }
    }

    private static bool Given(JsonElement limits, string name, out JsonElement value) =>
        limits.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    private static int? Number(JsonElement limits, string name) => Given(limits, name, out var value) ? value.GetInt32() : null;

    private static List<string>? Kinds(JsonElement limits)
    {
        if (!Given(limits, "allowedKinds", out var value))
        {
            return null;
        }

        var kinds = new List<string>(value.GetArrayLength());
        foreach (var kind in value.EnumerateArray())
        {
            kinds.Add(kind.GetString() ?? throw new FormatException("A kind is a string."));
        }

        return kinds;
    }

    /// <summary>Reads a size such as <c>2 MB</c>, <c>512 K</c> or <c>1048576 B</c> in bytes; upper or lower case, with or without the blank.</summary>
    private static long? Size(JsonElement limits, string name)
    {
        if (!Given(limits, name, out var value))
        {
            return null;
        }

        var text = (value.GetString() ?? "").AsSpan().Trim();
        var digits = text.IndexOfAnyExceptInRange('0', '9');
        digits = digits < 0 ? text.Length : digits;
        var scale = text[digits..].Trim().ToString().ToUpperInvariant() switch
        {
            "B" => 0,
            "K" or "KB" => 10,
            "M" or "MB" => 20,
            "G" or "GB" => 30,
            var unit => throw new FormatException($"'{unit}' is not a unit of size."),
        };
        return checked(long.Parse(text[..digits], NumberStyles.None, CultureInfo.InvariantCulture) * (1L << scale));
    }
}
