using System.Text.Json;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Entities;

/// <summary>Writes the members of entities that have the same form in the store and in an answer.</summary>
public static class EntityMembers
{
    /// <summary>Parameters or annotations.</summary>
    public static void WritePairs(Utf8JsonWriter json, ReadOnlySpan<byte> member, IReadOnlyList<KeyValue> pairs)
    {
        json.WriteStartArray(member);
        foreach (var pair in pairs)
        {
            json.WriteStartObject();
            json.WriteString("key"u8, pair.Key);
            json.WritePropertyName("value"u8);
            json.WriteRawValue(pair.Value.Span, skipInputValidation: true);
            if (pair.Init)
            {
                json.WriteBoolean("init"u8, value: true);
            }

            if (pair.Encryption is { } encryption)
            {
                json.WriteString("encryption"u8, encryption);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary><c>"limits":{...}</c>.</summary>
    public static void WriteLimits(Utf8JsonWriter json, ActionLimits limits)
    {
        json.WriteStartObject("limits"u8);
        json.WriteNumber("timeout"u8, limits.TimeoutMs);
        json.WriteNumber("memory"u8, limits.MemoryMb);
        json.WriteNumber("logs"u8, limits.LogsMb);
        json.WriteNumber("concurrency"u8, limits.Concurrency);
        if (limits.Instances is { } instances)
        {
            json.WriteNumber("instances"u8, instances);
        }

        json.WriteEndObject();
    }

    /// <summary><c>"binding":{...}</c>, empty for a package of its own.</summary>
    public static void WriteBinding(Utf8JsonWriter json, FullyQualifiedName? binding)
    {
        json.WriteStartObject("binding"u8);
        if (binding is not null)
        {
            json.WriteString("namespace"u8, binding.Namespace);
            json.WriteString("name"u8, binding.Name);
        }

        json.WriteEndObject();
    }

    /// <summary>A reference to another entity.</summary>
    public static void WriteName(Utf8JsonWriter json, ReadOnlySpan<byte> member, FullyQualifiedName name)
    {
        json.WriteStartObject(member);
        json.WriteString("name"u8, name.Name);
        json.WriteString("path"u8, name.Path);
        json.WriteEndObject();
    }
}
