using System.Globalization;
using System.Text;
using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Messages;

namespace Frusta.Invoker.Run;

/// <summary>Composes the body of <c>/init</c>.</summary>
internal static class InitRequest
{
    private static readonly JsonWriterOptions Compact = new() { Encoder = LeastEscaping.Instance, SkipValidation = true };

    /// <param name="message">The activation that the sandbox starts for: its environment is that of the sandbox.</param>
    /// <param name="action">The action.</param>
    /// <param name="code">The code text as it was sent; null when there is none.</param>
    /// <param name="deadlineMs">Milliseconds since 1970 at which the init is given up.</param>
    public static PooledBuffer Compose(ActivationMessage message, ExecutableAction action, byte[]? code, long deadlineMs)
    {
        var buffer = PooledBuffer.Rent((code?.Length ?? 0) + 1024);
        using var writer = new Utf8JsonWriter(buffer, Compact);
        writer.WriteStartObject();
        writer.WriteStartObject("value"u8);
        writer.WriteString("name"u8, action.Name.Name);
        writer.WriteString("main"u8, action.Main ?? "main");
        if (code is not null)
        {
            writer.WriteString("code"u8, code);
        }

        writer.WriteBoolean("binary"u8, action.Binary);
        writer.WriteStartObject("env"u8);
        WriteInitArguments(writer, message);
        WriteSystemVariables(writer, message, action, deadlineMs);
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.Flush();
        return buffer;
    }

    /// <summary>Writes the variables of the system. They come last, so that they win over init parameters of the same name.</summary>
    private static void WriteSystemVariables(Utf8JsonWriter writer, ActivationMessage message, ExecutableAction action, long deadlineMs)
    {
        writer.WriteString("__OW_NAMESPACE"u8, message.User.NamespaceName);
        writer.WriteString("__OW_ACTION_NAME"u8, $"/{action.Name.DocumentId}");
        writer.WriteString("__OW_ACTION_VERSION"u8, action.Version);
        writer.WriteString("__OW_ACTIVATION_ID"u8, message.Id.ToString());
        writer.WriteString("__OW_TRANSACTION_ID"u8, message.TransactionId);
        writer.WriteString("__OW_DEADLINE"u8, deadlineMs.ToString(CultureInfo.InvariantCulture));
        if (action.ProvideApiKey)
        {
            writer.WriteString("__OW_API_KEY"u8, message.User.AuthKey);
        }
    }

    /// <summary>Writes the parameters that go to the environment. Arguments in an array (of a sequence's step) have no names, so none of them does.</summary>
    private static void WriteInitArguments(Utf8JsonWriter writer, ActivationMessage message)
    {
        if (message.InitArguments.Count == 0 || message.Content.Length == 0 || message.Content.Span[0] != (byte)'{')
        {
            return;
        }

        var names = message.InitArguments.ToHashSet(StringComparer.Ordinal);
        var content = message.Content.Span;
        var reader = new Utf8JsonReader(content, JsonBounds.Value);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = JsonText.Decode(reader.ValueSpan);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            var value = reader.TokenType switch
            {
                JsonTokenType.String => names.Contains(name) ? JsonText.Decode(reader.ValueSpan) : "",
                JsonTokenType.Null => "",
                _ => null,
            };
            reader.Skip();
            if (names.Contains(name))
            {
                writer.WriteString(name, value ?? Encoding.UTF8.GetString(content[start..(int)reader.BytesConsumed]));
            }
        }
    }
}
