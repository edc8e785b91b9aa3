using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Messages;

/// <summary>
/// Writes and reads an activation message as JSON: the form in which OpenWhisk's controllers send it to invokers, and in which the journal keeps an
/// accepted activation.
/// </summary>
public static class ActivationMessageCodec
{
    private static readonly JsonWriterOptions Options = new()
    {
        SkipValidation = true,
        Encoder = LeastEscaping.Instance,
    };

    public static void Write(ActivationMessage message, IBufferWriter<byte> destination)
    {
        using var json = new Utf8JsonWriter(destination, Options);
        json.WriteStartObject();
        json.WriteStartArray("transid"u8);
        json.WriteStringValue(message.TransactionId);
        json.WriteNumberValue(message.ArrivedMs);
        if (message.ForceStore)
        {
            json.WriteBooleanValue(true);
        }

        json.WriteEndArray();
        WriteAction(json, message);
        json.WriteString("revision"u8, message.ActionRevision);
        WriteUser(json, message.User);
        Span<byte> id = stackalloc byte[ActivationId.TextLength];
        message.Id.WriteText(id);
        json.WriteString("activationId"u8, id);
        json.WritePropertyName("rootControllerIndex"u8);
        json.WriteRawValue("""{"asString":"0","instanceType":"controller"}"""u8, skipInputValidation: true);
        json.WriteBoolean("blocking"u8, message.Blocking);
        json.WritePropertyName("content"u8);
        json.WriteRawValue(message.Content.Span, skipInputValidation: true);
        json.WriteStartArray("initArgs"u8);
        foreach (var name in message.InitArguments)
        {
            json.WriteStringValue(name);
        }

        json.WriteEndArray();
        json.WriteStartObject("lockedArgs"u8);
        json.WriteEndObject();
        if (message.Cause is { } cause)
        {
            cause.WriteText(id);
            json.WriteString("cause"u8, id);
        }

        if (message.TraceParent is { } traceParent)
        {
            json.WriteStartObject("traceContext"u8);
            json.WriteString("traceparent"u8, traceParent);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    /// <summary>Reads a message. False when the text is not a message; then no buffer is rented.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, [NotNullWhen(true)] out ActivationMessage? message)
    {
        message = null;
        var parts = default(Parts);
        try
        {
            if (!ReadParts(text, ref parts))
            {
                return false;
            }
        }
        catch (Exception bad) when (bad is JsonException or InvalidOperationException or FormatException)
        {
            return false;
        }

        if (parts.Id is not { } id || parts.Action is not { } action || parts.User is not { } user)
        {
            return false;
        }

        message = new ActivationMessage
        {
            Id = id,
            TransactionId = parts.TransactionId ?? "sid_unknown",
            ArrivedMs = parts.ArrivedMs,
            ForceStore = parts.ForceStore,
            Action = action,
            ActionVersion = parts.Version ?? "0.0.1",
            Binding = parts.Binding,
            ActionRevision = parts.Revision,
            User = user,
            Blocking = parts.Blocking,
            Content = PooledBuffer.Copy(parts.ContentEnd == 0 ? "{}"u8 : text[parts.ContentStart..parts.ContentEnd]),
            InitArguments = parts.InitArguments ?? [],
            Cause = parts.Cause,
            TraceParent = parts.TraceParent,
        };
        return true;
    }

    private static void WriteAction(Utf8JsonWriter json, ActivationMessage message)
    {
        json.WriteStartObject("action"u8);
        json.WriteString("path"u8, message.Action.Path);
        json.WriteString("name"u8, message.Action.Name);
        json.WriteString("version"u8, message.ActionVersion);
        if (message.Binding is { } binding)
        {
            json.WriteString("binding"u8, binding);
        }

        json.WriteEndObject();
    }

    private static void WriteUser(Utf8JsonWriter json, Identity user)
    {
        json.WriteStartObject("user"u8);
        json.WriteString("subject"u8, user.Subject);
        json.WriteStartObject("namespace"u8);
        json.WriteString("name"u8, user.NamespaceName);
        json.WriteString("uuid"u8, user.NamespaceUuid);
        json.WriteEndObject();
        json.WriteStartObject("authkey"u8);
        json.WriteString("api_key"u8, user.AuthKey);
        json.WriteEndObject();
        json.WritePropertyName("rights"u8);
        json.WriteRawValue("""["READ","PUT","DELETE","ACTIVATE"]"""u8, skipInputValidation: true);
        json.WritePropertyName("limits"u8);
        NamespaceLimitsJson.Write(json, user.Limits);
        json.WriteEndObject();
    }

    private static bool ReadParts(ReadOnlySpan<byte> text, ref Parts parts)
    {
        var reader = new Utf8JsonReader(text, JsonBounds.Envelope);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            ReadMember(ref reader, ref parts);
        }

        // One more read checks that nothing follows.
        return !reader.Read();
    }

    private static void ReadMember(ref Utf8JsonReader reader, ref Parts parts)
    {
        if (reader.ValueTextEquals("transid"u8))
        {
            reader.Read();
            ReadTransaction(ref reader, ref parts);
        }
        else if (reader.ValueTextEquals("action"u8))
        {
            reader.Read();
            ReadAction(ref reader, ref parts);
        }
        else if (reader.ValueTextEquals("revision"u8))
        {
            reader.Read();
            parts.Revision = reader.GetString();
        }
        else if (reader.ValueTextEquals("user"u8))
        {
            reader.Read();
            parts.User = ReadUser(ref reader);
        }
        else if (reader.ValueTextEquals("activationId"u8))
        {
            reader.Read();
            parts.Id = ReadId(ref reader);
        }
        else if (reader.ValueTextEquals("blocking"u8))
        {
            reader.Read();
            parts.Blocking = reader.GetBoolean();
        }
        else if (reader.ValueTextEquals("content"u8))
        {
            reader.Read();
            parts.ContentStart = (int)reader.TokenStartIndex;
            reader.Skip();
            parts.ContentEnd = (int)reader.BytesConsumed;
        }
        else if (reader.ValueTextEquals("initArgs"u8))
        {
            reader.Read();
            parts.InitArguments = ReadStrings(ref reader);
        }
        else if (reader.ValueTextEquals("cause"u8))
        {
            reader.Read();
            parts.Cause = ReadId(ref reader);
        }
        else if (reader.ValueTextEquals("traceContext"u8))
        {
            reader.Read();
            parts.TraceParent = ReadTraceParent(ref reader);
        }
        else
        {
            reader.Read();
            reader.Skip();
        }
    }

    /// <summary>Reads the names and values of a tracer. Only W3C's <c>traceparent</c> is taken.</summary>
    private static string? ReadTraceParent(ref Utf8JsonReader reader)
    {
        string? traceParent = null;
        while (reader.TokenType != JsonTokenType.Null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isOurs = reader.ValueTextEquals("traceparent"u8);
            reader.Read();
            traceParent = isOurs ? reader.GetString() : traceParent;
        }

        return traceParent;
    }

    private static ActivationId? ReadId(ref Utf8JsonReader reader) =>
        ActivationId.TryParse(reader.GetString(), out var id) ? id : null;

    /// <summary>Reads <c>[id, start]</c> or <c>[id, start, true]</c>, with or without a parent of the same form at the end.</summary>
    private static void ReadTransaction(ref Utf8JsonReader reader, ref Parts parts)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.String:
                    parts.TransactionId = reader.GetString();
                    break;
                case JsonTokenType.Number:
                    parts.ArrivedMs = reader.GetInt64();
                    break;
                case JsonTokenType.True:
                    parts.ForceStore = true;
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
    }

    private static void ReadAction(ref Utf8JsonReader reader, ref Parts parts)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            parts.Action = FullyQualifiedName.Parse(reader.GetString() ?? "");
            return;
        }

        string? path = null, name = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("path"u8))
            {
                reader.Read();
                path = reader.GetString();
            }
            else if (reader.ValueTextEquals("name"u8))
            {
                reader.Read();
                name = reader.GetString();
            }
            else if (reader.ValueTextEquals("version"u8))
            {
                reader.Read();
                parts.Version = reader.GetString();
            }
            else if (reader.ValueTextEquals("binding"u8))
            {
                reader.Read();
                parts.Binding = reader.GetString();
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        parts.Action = path is null || name is null ? null : FullyQualifiedName.Parse($"{path}/{name}");
    }

    private static Identity? ReadUser(ref Utf8JsonReader reader)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        var user = document.RootElement;
        return Text(user, "subject") is { } subject
            && user.TryGetProperty("namespace"u8, out var space)
            && Text(space, "name") is { } name
            && Text(space, "uuid") is { } uuid
            ? new Identity(
                subject,
                name,
                uuid,
                user.TryGetProperty("authkey"u8, out var key) ? Text(key, "api_key") ?? "" : "",
                user.TryGetProperty("limits"u8, out var limits) ? NamespaceLimitsJson.Read(limits) : NamespaceLimits.None)
            : null;
    }

    private static string? Text(JsonElement owner, string name) =>
        owner.ValueKind == JsonValueKind.Object && owner.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    private static List<string> ReadStrings(ref Utf8JsonReader reader)
    {
        var strings = new List<string>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            strings.Add(reader.GetString() ?? "");
        }

        return strings;
    }

    /// <summary>The members that were read up to now.</summary>
    private struct Parts
    {
        public string? TransactionId;
        public long ArrivedMs;
        public bool ForceStore;
        public FullyQualifiedName? Action;
        public string? Version;
        public string? Binding;
        public string? Revision;
        public Identity? User;
        public ActivationId? Id;
        public bool Blocking;
        public int ContentStart;
        public int ContentEnd;
        public List<string>? InitArguments;
        public ActivationId? Cause;
        public string? TraceParent;
    }
}
