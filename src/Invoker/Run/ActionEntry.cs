using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Messages;
using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Run;

/// <summary>One action for one namespace: its place in the pool, and the bytes that are the same in all its run requests and records.</summary>
internal sealed class ActionEntry(ExecutableAction action, string namespaceName, ActionSlots slots)
{
    public ExecutableAction Action { get; } = action;

    public ActionSlots Slots { get; } = slots;

    public string FilterName { get; } = ActivationRecordWriter.FilterName(action.Name, binding: null);

    /// <summary><c>,"namespace":...,"action_name":...,"action_version":...</c>: the same bytes in each run.</summary>
    public ReadOnlyMemory<byte> RunMembers { get; } = WriteRunMembers(action, namespaceName);

    private static byte[] WriteRunMembers(ExecutableAction action, string namespaceName)
    {
        using var buffer = PooledBuffer.Rent();
        buffer.Write(",\"namespace\":"u8);
        JsonText.WriteString(buffer, namespaceName);
        buffer.Write(",\"action_name\":"u8);
        JsonText.WriteString(buffer, $"/{action.Name.DocumentId}");
        buffer.Write(",\"action_version\":"u8);
        JsonText.WriteString(buffer, action.Version);
        return buffer.Span.ToArray();
    }
}
