using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;
using Frusta.Contracts.Messages;

namespace Frusta.Invoker.Run;

/// <summary>Composes the body of <c>/run</c> as bytes: the arguments are spliced in as they came.</summary>
internal static class RunRequest
{
    private const int Envelope = 512;

    // More names than this are looked up in a set: an action can have thousands of them, and a call as many arguments.
    private const int FewNames = 8;

    public static PooledBuffer Compose(ActivationMessage message, ActionEntry entry, long deadlineMs)
    {
        var buffer = PooledBuffer.Rent(message.Content.Length + Envelope + entry.RunMembers.Length);
        buffer.Write("{\"value\":"u8);
        WriteArguments(message, buffer);
        buffer.Write(entry.RunMembers.Span);
        buffer.Write(",\"activation_id\":"u8);
        JsonText.WriteId(buffer, message.Id);
        buffer.Write(",\"transaction_id\":"u8);
        JsonText.WriteString(buffer, message.TransactionId);
        buffer.Write(",\"deadline\":\""u8);
        JsonText.WriteNumber(buffer, deadlineMs);
        buffer.Write("\""u8);
        if (entry.Action.ProvideApiKey)
        {
            buffer.Write(",\"api_key\":"u8);
            JsonText.WriteString(buffer, message.User.AuthKey);
        }

        buffer.Write("}"u8);
        return buffer;
    }

    /// <summary>The arguments without those that went to the environment at init.</summary>
    private static void WriteArguments(ActivationMessage message, PooledBuffer buffer)
    {
        var content = message.Content.Span;
        if (message.InitArguments.Count == 0 || content.IsEmpty || content[0] != (byte)'{')
        {
            buffer.Write(content.IsEmpty ? "{}"u8 : content);
            return;
        }

        var many = message.InitArguments.Count > FewNames ? message.InitArguments.ToHashSet(StringComparer.Ordinal) : null;
        var reader = new Utf8JsonReader(content, JsonBounds.Value);
        reader.Read();
        var separator = (byte)'{';
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            var isInit = many?.Contains(JsonText.Decode(reader.ValueSpan)) ?? IsOneOf(ref reader, message.InitArguments);
            reader.Skip();
            if (!isInit)
            {
                buffer.Write([separator]);
                buffer.Write(content[start..(int)reader.BytesConsumed]);
                separator = (byte)',';
            }
        }

        buffer.Write(separator == (byte)'{' ? "{}"u8 : "}"u8);
    }

    private static bool IsOneOf(ref Utf8JsonReader reader, IReadOnlyList<string> names)
    {
        if (reader.ValueIsEscaped)
        {
            // The reader itself cannot compare a name with a lone surrogate in it.
            return names.Contains(JsonText.Decode(reader.ValueSpan), StringComparer.Ordinal);
        }

        for (var i = 0; i < names.Count; i++)
        {
            if (reader.ValueTextEquals(names[i]))
            {
                return true;
            }
        }

        return false;
    }
}
