using System.Buffers;
using System.Text;
using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Entities;

/// <summary>Writes and reads entities as the JSON documents that OpenWhisk keeps in CouchDB, without <c>_rev</c>.</summary>
public static class DocumentCodec
{
    private const string AttachmentType = "text/plain; charset=UTF-8";

    /// <summary>Writes the document, compact.</summary>
    public static void Write(EntityDocument document, IBufferWriter<byte> destination)
    {
        using var json = new Utf8JsonWriter(destination, new JsonWriterOptions { SkipValidation = true });
        json.WriteStartObject();
        json.WriteString("_id"u8, document.Name.DocumentId);
        json.WriteString("entityType"u8, TypeOf(document.Kind));
        json.WriteString("namespace"u8, document.Name.Path);
        json.WriteString("name"u8, document.Name.Name);
        json.WriteString("version"u8, document.Version);
        json.WriteBoolean("publish"u8, document.Publish);
        json.WriteNumber("updated"u8, document.UpdatedMs);
        EntityMembers.WritePairs(json, "annotations"u8, document.Annotations);
        switch (document)
        {
            case ActionDocument action:
                EntityMembers.WritePairs(json, "parameters"u8, action.Parameters);
                WriteExec(json, action.Exec);
                EntityMembers.WriteLimits(json, action.Limits);
                break;
            case PackageDocument package:
                EntityMembers.WritePairs(json, "parameters"u8, package.Parameters);
                EntityMembers.WriteBinding(json, package.Binding);
                break;
            case TriggerDocument trigger:
                EntityMembers.WritePairs(json, "parameters"u8, trigger.Parameters);
                json.WriteStartObject("limits"u8);
                json.WriteEndObject();
                WriteRules(json, trigger.Rules);
                break;
            case RuleDocument rule:
                EntityMembers.WriteName(json, "trigger"u8, rule.Trigger);
                EntityMembers.WriteName(json, "action"u8, rule.Action);
                break;
        }

        json.WriteEndObject();
    }

    /// <summary>Reads a document; null when it is no entity.</summary>
    /// <param name="documentId">Id of the document. A reference with a bare name means an entity of this id's namespace.</param>
    /// <param name="revision">Revision that the document is given.</param>
    /// <param name="body">The JSON.</param>
    /// <exception cref="JsonException">It is not JSON.</exception>
    /// <exception cref="FormatException">A member is missing or of another type than the entity has.</exception>
    public static EntityDocument? Read(string documentId, string revision, ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, JsonBounds.Envelope);
        using var parsed = JsonDocument.ParseValue(ref reader);
        var json = parsed.RootElement;
        if (json.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        try
        {
            return KindOf(json) switch
            {
                EntityKind.Action => ReadAction(json, revision),
                EntityKind.Package => ReadPackage(json, revision),
                EntityKind.Trigger => ReadTrigger(json, revision),
                EntityKind.Rule => ReadRule(json, revision, documentId.Split('/')[0]),
                _ => null,
            };
        }
        catch (Exception exception) when (exception is InvalidOperationException or KeyNotFoundException)
        {
            throw new FormatException($"The document '{documentId}' has not the members of the entity that its type names.", exception);
        }
    }

    /// <summary>As <see cref="Read"/>, but without members that no list shows and that may be megabytes: parameters, and the rules of a trigger.</summary>
    /// <exception cref="JsonException">It is not JSON.</exception>
    /// <exception cref="FormatException">A member is missing or of another type than the entity has.</exception>
    public static EntityDocument? ReadSummary(string documentId, string revision, ReadOnlySpan<byte> body)
    {
        using var shown = PooledBuffer.Rent(1024);
        var reader = new Utf8JsonReader(body, JsonBounds.Envelope);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return Read(documentId, revision, body);
        }

        var separator = (byte)'{';
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            var isLeftOut = reader.ValueTextEquals("parameters"u8) || reader.ValueTextEquals("rules"u8);
            reader.Skip();
            if (!isLeftOut)
            {
                shown.Write([separator]);
                shown.Write(body[start..(int)reader.BytesConsumed]);
                separator = (byte)',';
            }
        }

        shown.Write(separator == (byte)'{' ? "{}"u8 : "}"u8);
        return Read(documentId, revision, shown.Span);
    }

    private static string TypeOf(EntityKind kind) => kind switch
    {
        EntityKind.Action => "action",
        EntityKind.Package => "package",
        EntityKind.Trigger => "trigger",
        _ => "rule",
    };

    /// <summary>The kind by the member <c>entityType</c>; old documents lack that, and their kind is found by their other members.</summary>
    private static EntityKind? KindOf(JsonElement json) => Text(json, "entityType") switch
    {
        "action" => EntityKind.Action,
        "package" => EntityKind.Package,
        "trigger" => EntityKind.Trigger,
        "rule" => EntityKind.Rule,
        not null => null,
        null when json.TryGetProperty("exec", out _) => EntityKind.Action,
        null when json.TryGetProperty("trigger", out _) => EntityKind.Rule,
        null when json.TryGetProperty("binding", out _) => EntityKind.Package,
        null when json.TryGetProperty("parameters", out _) => EntityKind.Trigger,
        null => null,
    };

    private static ActionDocument ReadAction(JsonElement json, string revision)
    {
        var exec = json.GetProperty("exec");
        var limits = json.GetProperty("limits");
        var standard = new ActionLimits();
        return new ActionDocument
        {
            Name = NameOf(json),
            Version = json.GetProperty("version").GetString()!,
            Publish = Flag(json, "publish"),
            Annotations = ReadPairs(json, "annotations"),
            UpdatedMs = Number(json, "updated") ?? 0,
            Revision = revision,
            Exec = new ActionExec(
                exec.GetProperty("kind").GetString()!,
                Text(exec, "main"),
                Flag(exec, "binary"),
                Text(exec, "image"),
                exec.TryGetProperty("components", out var components) ? [.. components.EnumerateArray().Select(each => each.GetString()!)] : null,
                AttachmentOf(exec)),
            Parameters = ReadPairs(json, "parameters"),
            Limits = new ActionLimits(
                limits.GetProperty("timeout").GetInt32(),
                limits.GetProperty("memory").GetInt32(),
                (int)(Number(limits, "logs") ?? standard.LogsMb),
                (int)(Number(limits, "concurrency") ?? standard.Concurrency),
                (int?)Number(limits, "instances")),
        };
    }

    private static PackageDocument ReadPackage(JsonElement json, string revision) => new()
    {
        Name = NameOf(json),
        Version = json.GetProperty("version").GetString()!,
        Publish = Flag(json, "publish"),
        Annotations = ReadPairs(json, "annotations"),
        UpdatedMs = Number(json, "updated") ?? 0,
        Revision = revision,
        Parameters = ReadPairs(json, "parameters"),
        Binding = json.TryGetProperty("binding", out var binding) && Text(binding, "name") is { Length: > 0 } name
            ? new FullyQualifiedName(binding.GetProperty("namespace").GetString()!, null, name)
            : null,
    };

    private static TriggerDocument ReadTrigger(JsonElement json, string revision) => new()
    {
        Name = NameOf(json),
        Version = json.GetProperty("version").GetString()!,
        Publish = Flag(json, "publish"),
        Annotations = ReadPairs(json, "annotations"),
        UpdatedMs = Number(json, "updated") ?? 0,
        Revision = revision,
        Parameters = ReadPairs(json, "parameters"),
        Rules = json.TryGetProperty("rules", out var rules) && rules.ValueKind == JsonValueKind.Object
            ? rules.EnumerateObject().ToDictionary(
                rule => rule.Name,
                rule => new RuleLink(
                    ReadReference(rule.Value.GetProperty("action"), rule.Name.Split('/')[0]),
                    string.Equals(Text(rule.Value, "status"), "active", StringComparison.Ordinal)),
                StringComparer.Ordinal)
            : null,
    };

    private static RuleDocument ReadRule(JsonElement json, string revision, string rootNamespace) => new()
    {
        Name = NameOf(json),
        Version = json.GetProperty("version").GetString()!,
        Publish = Flag(json, "publish"),
        Annotations = ReadPairs(json, "annotations"),
        UpdatedMs = Number(json, "updated") ?? 0,
        Revision = revision,
        Trigger = ReadReference(json.GetProperty("trigger"), rootNamespace),
        Action = ReadReference(json.GetProperty("action"), rootNamespace),
    };

    private static FullyQualifiedName NameOf(JsonElement json) =>
        FullyQualifiedName.In(json.GetProperty("namespace").GetString()!, json.GetProperty("name").GetString()!);

    /// <summary>Reads <c>{"path","name"}</c>, or as in old documents <c>ns/name</c> or a bare name.</summary>
    private static FullyQualifiedName ReadReference(JsonElement json, string rootNamespace)
    {
        if (json.ValueKind == JsonValueKind.Object)
        {
            return FullyQualifiedName.In(json.GetProperty("path").GetString()!, json.GetProperty("name").GetString()!);
        }

        var text = json.GetString()!.TrimStart('/');
        var slash = text.LastIndexOf('/');
        return slash < 0 ? new FullyQualifiedName(rootNamespace, null, text) : FullyQualifiedName.In(text[..slash], text[(slash + 1)..]);
    }

    /// <summary>The name of the attachment; in old documents of Java actions it is under <c>jar</c>.</summary>
    private static string? AttachmentOf(JsonElement exec) =>
        (exec.TryGetProperty("code", out var code) || exec.TryGetProperty("jar", out code)) && code.ValueKind == JsonValueKind.Object
            ? code.GetProperty("attachmentName").GetString()
            : null;

    private static List<KeyValue> ReadPairs(JsonElement json, string member)
    {
        var pairs = new List<KeyValue>();
        if (json.TryGetProperty(member, out var array))
        {
            foreach (var pair in array.EnumerateArray())
            {
                var value = Encoding.UTF8.GetBytes(pair.GetProperty("value").GetRawText());
                pairs.Add(new KeyValue(pair.GetProperty("key").GetString()!, value, Flag(pair, "init"), Text(pair, "encryption")));
            }
        }

        return pairs;
    }

    private static string? Text(JsonElement json, string member) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    private static bool Flag(JsonElement json, string member) => json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.True;

    private static long? Number(JsonElement json, string member) =>
        json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt64() : null;

    private static void WriteExec(Utf8JsonWriter json, ActionExec exec)
    {
        json.WriteStartObject("exec"u8);
        json.WriteString("kind"u8, exec.Kind);
        if (exec.Image is { } image)
        {
            json.WriteString("image"u8, image);
        }

        if (exec.Components is { } components)
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
            json.WriteBoolean("binary"u8, exec.Binary);
        }

        if (exec.CodeAttachment is { } attachment)
        {
            json.WriteStartObject("code"u8);
            json.WriteString("attachmentName"u8, attachment);
            json.WriteString("attachmentType"u8, AttachmentType);
            json.WriteEndObject();
        }

        if (exec.Main is { } main)
        {
            json.WriteString("main"u8, main);
        }

        json.WriteEndObject();
    }

    private static void WriteRules(Utf8JsonWriter json, IReadOnlyDictionary<string, RuleLink>? rules)
    {
        if (rules is null)
        {
            return;
        }

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
}
