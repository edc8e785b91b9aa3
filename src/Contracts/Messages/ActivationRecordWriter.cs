using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Messages;

/// <summary>The members of an activation record, filled in where an activation ends. A member that is left out is not in the record.</summary>
public readonly ref struct ActivationRecord
{
    public required ActivationId Id { get; init; }

    /// <summary>Namespace of the caller.</summary>
    public required string Namespace { get; init; }

    /// <summary>Simple name of the action or trigger.</summary>
    public required string Name { get; init; }

    /// <summary>Version of the action or trigger.</summary>
    public required string Version { get; init; }

    public required string Subject { get; init; }

    /// <summary>Id of the enclosing sequence or composition; it brings the annotation <c>causedBy</c> with it.</summary>
    public ActivationId? Cause { get; init; }

    /// <summary>Milliseconds since 1970.</summary>
    public required long StartMs { get; init; }

    /// <summary>Milliseconds since 1970; 0 for a trigger, whose record has neither end nor duration.</summary>
    public required long EndMs { get; init; }

    /// <summary>Milliseconds, set where the duration is not end - start: for a sequence it is the sum over its components.</summary>
    public long? DurationMs { get; init; }

    public required ActivationStatus Status { get; init; }

    /// <summary>One JSON value, already read by <see cref="ResultJson"/>; empty when there is none.</summary>
    public required ReadOnlySpan<byte> Result { get; init; }

    /// <summary>Length of the runtime's response body; null when none was read.</summary>
    public long? ResponseSize { get; init; }

    /// <summary>The lines as one JSON array of strings; empty means none.</summary>
    public ReadOnlySpan<byte> Logs { get; init; }

    /// <summary>Annotation <c>path</c>: the real place of the action. Null for a trigger, which has no annotation at all.</summary>
    public FullyQualifiedName? Action { get; init; }

    /// <summary>Annotation <c>kind</c>; <c>unknown</c> when the action could not be fetched.</summary>
    public string? Kind { get; init; }

    /// <summary>Annotation <c>limits</c>: of an action that was executed.</summary>
    public ActionLimits? Limits { get; init; }

    /// <summary>Annotation <c>timeout</c>: whether the time limit was exceeded.</summary>
    public bool? TimedOut { get; init; }

    /// <summary>Annotation <c>waitTime</c>, milliseconds.</summary>
    public long? WaitMs { get; init; }

    /// <summary>Annotation <c>initTime</c>, milliseconds; only where an init ran.</summary>
    public long? InitMs { get; init; }

    /// <summary>Annotation <c>binding</c>: <c>ns/binding</c>.</summary>
    public string? Binding { get; init; }

    /// <summary>Annotation <c>topmost</c> of a sequence or composition.</summary>
    public bool? Topmost { get; init; }

    /// <summary>Annotation <c>conductor</c>: true on the primary record of a composition.</summary>
    public bool Conductor { get; init; }
}

/// <summary>Writes activation records in the one form that answers, the journal and the store share.</summary>
public static class ActivationRecordWriter
{
    /// <summary>Room for everything but result, logs and long names; the buffer grows when it is not enough.</summary>
    private const int Envelope = 1024;

    /// <summary>Writes the record into a buffer of its own, which the result holds.</summary>
    /// <param name="record">The members of the record.</param>
    /// <param name="filterName">See <see cref="FinishedActivation.FilterName"/> and <see cref="FilterName"/>.</param>
    /// <param name="store">See <see cref="FinishedActivation.Store"/>.</param>
    public static FinishedActivation Finish(in ActivationRecord record, string filterName, bool store = true)
    {
        var buffer = PooledBuffer.Rent(Envelope + record.Result.Length + record.Logs.Length);
        WriteHead(record, buffer);
        var resultOffset = WriteResponse(record, buffer);
        WriteTail(record, buffer);
        var logsOffset = buffer.Length;
        buffer.Write(record.Logs.IsEmpty ? "[]"u8 : record.Logs);
        buffer.Write("}"u8);
        return new FinishedActivation
        {
            Id = record.Id,
            Namespace = record.Namespace,
            FilterName = filterName,
            StartMs = record.StartMs,
            EndMs = record.EndMs,
            Status = record.Status,
            Record = buffer,
            ResultOffset = resultOffset,
            ResultLength = record.Result.Length,
            LogsOffset = logsOffset,
            Store = store,
        };
    }

    /// <summary>The name that a list compares with its filter <c>name</c>; for a call through a binding it has the binding's name instead of the package's.</summary>
    public static string FilterName(FullyQualifiedName action, string? binding)
    {
        var package = binding is null ? action.Package : binding[(binding.IndexOf('/', StringComparison.Ordinal) + 1)..];
        return package is null ? action.Name : $"{package}/{action.Name}";
    }

    private static void WriteHead(in ActivationRecord record, PooledBuffer buffer)
    {
        buffer.Write("{\"activationId\":"u8);
        JsonText.WriteId(buffer, record.Id);
        WriteAnnotations(record, buffer);
        if (record.Cause is { } cause)
        {
            buffer.Write(",\"cause\":"u8);
            JsonText.WriteId(buffer, cause);
        }

        if (record.EndMs != 0)
        {
            buffer.Write(",\"duration\":"u8);
            JsonText.WriteNumber(buffer, record.DurationMs ?? record.EndMs - record.StartMs);
            buffer.Write(",\"end\":"u8);
            JsonText.WriteNumber(buffer, record.EndMs);
        }

        buffer.Write(",\"name\":"u8);
        JsonText.WriteString(buffer, record.Name);
        buffer.Write(",\"namespace\":"u8);
        JsonText.WriteString(buffer, record.Namespace);
    }

    private static int WriteResponse(in ActivationRecord record, PooledBuffer buffer)
    {
        var resultOffset = 0;
        buffer.Write(",\"publish\":false,\"response\":{"u8);
        if (!record.Result.IsEmpty)
        {
            buffer.Write("\"result\":"u8);
            resultOffset = buffer.Length;
            buffer.Write(record.Result);
            buffer.Write(","u8);
        }

        if (record.ResponseSize is { } size)
        {
            buffer.Write("\"size\":"u8);
            JsonText.WriteNumber(buffer, size);
            buffer.Write(","u8);
        }

        buffer.Write("\"status\":\""u8);
        buffer.Write(ActivationStatusText.Utf8(record.Status));
        buffer.Write(record.Status == ActivationStatus.Success ? "\",\"success\":true}"u8 : "\",\"success\":false}"u8);
        return resultOffset;
    }

    private static void WriteTail(in ActivationRecord record, PooledBuffer buffer)
    {
        buffer.Write(",\"start\":"u8);
        JsonText.WriteNumber(buffer, record.StartMs);
        buffer.Write(",\"subject\":"u8);
        JsonText.WriteString(buffer, record.Subject);
        buffer.Write(",\"version\":"u8);
        JsonText.WriteString(buffer, record.Version);
        buffer.Write(",\"logs\":"u8);
    }

    private static void WriteAnnotations(in ActivationRecord record, PooledBuffer buffer)
    {
        buffer.Write(",\"annotations\":["u8);
        if (record.Action is null)
        {
            buffer.Write("]"u8);
            return;
        }

        buffer.Write("{\"key\":\"path\",\"value\":"u8);
        WritePath(buffer, record.Action);
        if (record.Kind is { } kind)
        {
            buffer.Write("},{\"key\":\"kind\",\"value\":"u8);
            JsonText.WriteString(buffer, kind);
        }

        if (record.Limits is { } limits)
        {
            buffer.Write("},{\"key\":\"limits\",\"value\":"u8);
            WriteLimits(buffer, limits);
        }

        WriteFlag(buffer, "},{\"key\":\"timeout\",\"value\":"u8, record.TimedOut);
        WriteFlag(buffer, "},{\"key\":\"topmost\",\"value\":"u8, record.Topmost);
        WriteFlag(buffer, "},{\"key\":\"conductor\",\"value\":"u8, record.Conductor ? true : null);
        WriteNumber(buffer, "},{\"key\":\"waitTime\",\"value\":"u8, record.WaitMs);
        WriteNumber(buffer, "},{\"key\":\"initTime\",\"value\":"u8, record.InitMs);
        if (record.Cause is not null)
        {
            buffer.Write("},{\"key\":\"causedBy\",\"value\":\"sequence\""u8);
        }

        if (record.Binding is { } binding)
        {
            buffer.Write("},{\"key\":\"binding\",\"value\":"u8);
            JsonText.WriteString(buffer, binding);
        }

        buffer.Write("}]"u8);
    }

    /// <summary><c>ns[/pkg]/name</c>; no segment of a valid name needs an escape.</summary>
    private static void WritePath(PooledBuffer buffer, FullyQualifiedName action)
    {
        Span<char> path = stackalloc char[(3 * EntityName.MaxLength) + 2];
        var written = 0;
        if (action.Package is { } package
            ? path.TryWrite($"{action.Namespace}/{package}/{action.Name}", out written)
            : path.TryWrite($"{action.Namespace}/{action.Name}", out written))
        {
            JsonText.WriteString(buffer, path[..written]);
        }
        else
        {
            JsonText.WriteString(buffer, action.DocumentId);
        }
    }

    private static void WriteLimits(PooledBuffer buffer, ActionLimits limits)
    {
        buffer.Write("{\"concurrency\":"u8);
        JsonText.WriteNumber(buffer, limits.Concurrency);
        if (limits.Instances is { } instances)
        {
            buffer.Write(",\"instances\":"u8);
            JsonText.WriteNumber(buffer, instances);
        }

        buffer.Write(",\"logs\":"u8);
        JsonText.WriteNumber(buffer, limits.LogsMb);
        buffer.Write(",\"memory\":"u8);
        JsonText.WriteNumber(buffer, limits.MemoryMb);
        buffer.Write(",\"timeout\":"u8);
        JsonText.WriteNumber(buffer, limits.TimeoutMs);
        buffer.Write("}"u8);
    }

    private static void WriteFlag(PooledBuffer buffer, ReadOnlySpan<byte> opening, bool? value)
    {
        if (value is { } flag)
        {
            buffer.Write(opening);
            buffer.Write(flag ? "true"u8 : "false"u8);
        }
    }

    private static void WriteNumber(PooledBuffer buffer, ReadOnlySpan<byte> opening, long? value)
    {
        if (value is { } number)
        {
            buffer.Write(opening);
            JsonText.WriteNumber(buffer, number);
        }
    }
}
