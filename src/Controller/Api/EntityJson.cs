using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;

namespace Frusta.Controller.Api;

/// <summary>Writes entities as the API shows them.</summary>
internal static class EntityJson
{
    private static readonly JsonWriterOptions Options = new()
    {
        Encoder = LeastEscaping.Instance,
        SkipValidation = true,
        MaxDepth = JsonBounds.MaxDepth + JsonBounds.EnvelopeDepth,
    };

    /// <summary>200 with the JSON that the given call writes.</summary>
    public static ApiAnswer Answer(Action<Utf8JsonWriter> write)
    {
        var body = PooledBuffer.Rent();
        using (var json = new Utf8JsonWriter(body, Options))
        {
            write(json);
        }

        return ApiAnswer.Ok(body);
    }

    /// <summary>Writes JSON behind the bytes in the window.</summary>
    public static void Append(PooledBuffer window, Action<Utf8JsonWriter> write)
    {
        using var json = new Utf8JsonWriter(window, Options);
        write(json);
    }

    /// <summary>200 with the number of entries that a list would show behind <c>skip</c>.</summary>
    public static ApiAnswer Count(string collection, int total, int skip) => Answer(json =>
    {
        json.WriteStartObject();
        json.WriteNumber(collection, Math.Max(0, total - skip));
        json.WriteEndObject();
    });

    /// <summary>A whole action; 503 where there is no room for the members around its code.</summary>
    /// <param name="action">The document.</param>
    /// <param name="code">Its code, or none to show none. The answer takes it over, and its lease holds all bytes of the answer.</param>
    /// <param name="parameters">The parameters to show: for a GET those merged with the package's, else its own.</param>
    /// <param name="binding"><c>ns/binding</c> when the action was read through a binding and without its code.</param>
    public static ApiAnswer Action(ActionDocument action, AnsweredCode code, IReadOnlyList<KeyValue> parameters, string? binding)
    {
        var body = PooledBuffer.Rent();
        var answered = false;
        try
        {
            var codeAt = 0;
            using (var json = new Utf8JsonWriter(body, Options))
            {
                codeAt = Write(json, action, code.Bytes is not null, parameters, binding);
            }

            if (code.Lease?.TryHold(code.Lease.Bytes + body.Length) == false)
            {
                return ApiAnswer.Error(503);
            }

            answered = true;
            return code.Bytes is { } bytes
                ? ApiAnswer.Ok(new EntityWithCode(body, codeAt, bytes, code.Owner), code.Lease)
                : ApiAnswer.Ok(body) with { Lease = code.Lease };
        }
        finally
        {
            if (!answered)
            {
                body.Dispose();
                code.Discard();
            }
        }
    }

    /// <summary>Writes an action, with an empty string for the code where it has some.</summary>
    /// <returns>The place of the code, in bytes.</returns>
    private static int Write(Utf8JsonWriter json, ActionDocument action, bool withCode, IReadOnlyList<KeyValue> parameters, string? binding)
    {
        var codeAt = 0;
        json.WriteStartObject();
        WriteCommon(json, action);
        json.WriteStartObject("exec"u8);
        json.WriteString("kind"u8, action.Exec.Kind);
        if (action.Exec.Components is { } components)
        {
            json.WriteStartArray("components"u8);
            foreach (var component in components)
            {
                json.WriteStringValue(component);
            }

            json.WriteEndArray();
        }
        else
        {
            json.WriteBoolean("binary"u8, action.Exec.Binary);
        }

        if (action.Exec.Image is { } image)
        {
            json.WriteString("image"u8, image);
        }

        if (withCode)
        {
            json.WriteString("code"u8, ""u8);
            codeAt = (int)(json.BytesCommitted + json.BytesPending) - 1; // before the closing quote
        }

        if (action.Exec.Main is { } main)
        {
            json.WriteString("main"u8, main);
        }

        json.WriteEndObject();
        EntityMembers.WritePairs(json, "parameters"u8, parameters);
        EntityMembers.WriteLimits(json, action.Limits);
        if (binding is not null)
        {
            json.WriteString("binding"u8, binding);
        }

        json.WriteEndObject();
        return codeAt;
    }

    /// <summary>A package without its actions and feeds, as a PUT and a DELETE answer it.</summary>
    public static ApiAnswer Package(PackageDocument package, IReadOnlyList<KeyValue> parameters) => Answer(json => WritePackage(json, package, parameters));

    /// <summary>Writes the members of a package.</summary>
    public static void WritePackage(Utf8JsonWriter json, PackageDocument package, IReadOnlyList<KeyValue> parameters)
    {
        json.WriteStartObject();
        WriteCommon(json, package);
        EntityMembers.WriteBinding(json, package.Binding);
        EntityMembers.WritePairs(json, "parameters"u8, parameters);
        json.WriteEndObject();
    }

    /// <summary>An action as its package shows it.</summary>
    public static void WriteMember(Utf8JsonWriter json, EntityDocument action)
    {
        json.WriteStartObject();
        json.WriteString("name"u8, action.Name.Name);
        json.WriteString("version"u8, action.Version);
        EntityMembers.WritePairs(json, "annotations"u8, action.Annotations);
        json.WriteEndObject();
    }

    /// <summary>True for an action that a trigger can be made with.</summary>
    public static bool IsFeed(EntityDocument action) =>
        action.Annotations.Any(annotation => string.Equals(annotation.Key, "feed", StringComparison.Ordinal));

    public static ApiAnswer Trigger(TriggerDocument trigger) => Answer(json =>
    {
        json.WriteStartObject();
        WriteCommon(json, trigger);
        EntityMembers.WritePairs(json, "parameters"u8, trigger.Parameters);
        json.WriteStartObject("limits"u8);
        json.WriteEndObject();
        if (trigger.Rules is { } rules)
        {
            json.WriteStartObject("rules"u8);
            foreach (var (rule, link) in rules)
            {
                json.WriteStartObject(rule);
                EntityMembers.WriteName(json, "action"u8, link.Action);
                json.WriteString("status"u8, link.Active ? "active"u8 : "inactive"u8);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
    });

    public static ApiAnswer Rule(RuleDocument rule, bool active) => Answer(json => WriteRule(json, rule, active));

    /// <summary>A rule; without its status in a list.</summary>
    public static void WriteRule(Utf8JsonWriter json, RuleDocument rule, bool? active)
    {
        json.WriteStartObject();
        WriteCommon(json, rule);
        if (active is { } known)
        {
            json.WriteString("status"u8, known ? "active"u8 : "inactive"u8);
        }

        EntityMembers.WriteName(json, "trigger"u8, rule.Trigger);
        EntityMembers.WriteName(json, "action"u8, rule.Action);
        json.WriteEndObject();
    }

    /// <summary>Any other entity in a list.</summary>
    public static void WriteEntry(Utf8JsonWriter json, EntityDocument document)
    {
        if (document is RuleDocument rule)
        {
            WriteRule(json, rule, active: null);
            return;
        }

        json.WriteStartObject();
        WriteCommon(json, document);
        switch (document)
        {
            case ActionDocument action:
                EntityMembers.WriteLimits(json, action.Limits);
                json.WriteStartObject("exec"u8);
                json.WriteBoolean("binary"u8, action.Exec.Binary);
                json.WriteEndObject();
                break;
            case PackageDocument { Binding: null }:
                json.WriteBoolean("binding"u8, value: false);
                break;
            case PackageDocument package:
                EntityMembers.WriteBinding(json, package.Binding);
                break;
        }

        json.WriteEndObject();
    }

    private static void WriteCommon(Utf8JsonWriter json, EntityDocument document)
    {
        json.WriteString("namespace"u8, document.Name.Path);
        json.WriteString("name"u8, document.Name.Name);
        json.WriteString("version"u8, document.Version);
        json.WriteBoolean("publish"u8, document.Publish);
        json.WriteNumber("updated"u8, document.UpdatedMs);
        EntityMembers.WritePairs(json, "annotations"u8, document.Annotations);
    }
}

/// <summary>The code of an action on its way into an answer.</summary>
/// <param name="Bytes">UTF-8 as it was sent; null for none.</param>
/// <param name="Owner">The owner of the bytes, disposed with the answer.</param>
/// <param name="Lease">Holds the bytes of the answer in the budget; given back with it.</param>
internal readonly record struct AnsweredCode(ReadOnlyMemory<byte>? Bytes, IDisposable? Owner, ByteLease? Lease)
{
    /// <summary>Gives everything back when there is no answer after all.</summary>
    public void Discard()
    {
        Owner?.Dispose();
        Lease?.Dispose();
    }
}
