using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>The body of a PUT of an action; a member that was not sent is null.</summary>
internal sealed record PutAction(
    PutExec? Exec,
    IReadOnlyList<KeyValue>? Parameters,
    IReadOnlyList<KeyValue>? Annotations,
    IReadOnlySet<string> RemovedAnnotations,
    PutLimits Limits,
    string? Version,
    bool? Publish)
{
    private const string ExecKey = "exec";
    private const string ApiKeyKey = "provide-api-key";
    private const string SequenceParameter = "_actions";
    private const string RemovedMalformed = "delAnnotations must be an array of strings";

    public static Reading<PutAction> Read(EntityBody body) =>
        LimitsReading.Read(body).TryGet(out var limits, out var refusal)
        && ReadRemoved(body).TryGet(out var removed, out refusal)
        && body.Version().TryGet(out var version, out refusal)
        && body.Publish().TryGet(out var publish, out refusal)
            ? new PutAction(body.Exec, body.Parameters, body.Annotations, removed, limits, version, publish)
            : refusal;

    /// <summary>The document that results: a new one, or the old one with the members that were sent in place of its own.</summary>
    public ActionDocument Over(FullyQualifiedName name, ActionDocument? old, ActionLimits standard, long updatedMs)
    {
        var exec = Exec is null
            ? old!.Exec
            : Exec.Code is null ? Exec.Exec : Exec.Exec with { CodeAttachment = $"couch:{Guid.NewGuid():D}" };
        return new ActionDocument
        {
            Name = name,
            Version = Version ?? (old is null ? SemanticVersion.First : SemanticVersion.Next(old.Version)),
            Publish = Publish ?? old?.Publish ?? false,
            Annotations = MergeAnnotations(old, exec.Kind),
            Parameters = ParametersOf(exec, old),
            Limits = Limits.Over(old?.Limits ?? standard),
            Exec = exec,
            UpdatedMs = updatedMs,
            Revision = old?.Revision ?? "",
        };
    }

    /// <summary>The most bytes of the names of annotations to be removed: all annotations of an action together have no more.</summary>
    private const int MostRemovedBytes = 1 << 20;

    private static Reading<HashSet<string>> ReadRemoved(EntityBody body)
    {
        var keys = new HashSet<string>(StringComparer.Ordinal);
        if (!body.TryGet("delAnnotations", out var removed))
        {
            return keys;
        }

        if (removed.Length > MostRemovedBytes)
        {
            return Refusal.Malformed($"delAnnotations has {removed.Length} bytes, and at most {MostRemovedBytes} are read");
        }

        if (removed.ValueKind != JsonValueKind.Array)
        {
            return Refusal.Malformed(RemovedMalformed);
        }

        foreach (var key in removed.EnumerateArray())
        {
            if (key.ValueKind != JsonValueKind.String)
            {
                return Refusal.Malformed(RemovedMalformed);
            }

            keys.Add(key.GetString());
        }

        return keys;
    }

    /// <summary>A sequence has exactly one parameter, which the server sets to its components.</summary>
    private IReadOnlyList<KeyValue> ParametersOf(ActionExec exec, ActionDocument? old)
    {
        if (Exec is null && old is { Exec.IsSequence: true })
        {
            return old.Parameters;
        }

        if (exec.IsSequence)
        {
            return [new KeyValue(SequenceParameter, Array(exec.Components ?? []))];
        }

        return Parameters ?? (old is null or { Exec.IsSequence: true } ? [] : old.Parameters);
    }

    private IReadOnlyList<KeyValue> MergeAnnotations(ActionDocument? old, string kind)
    {
        var sent = Annotations ?? [];
        IReadOnlyList<KeyValue> under = [];
        if (old is null)
        {
            under = [new KeyValue(ApiKeyKey, "false"u8.ToArray())];
        }
        else
        {
            // OpenWhisk ignores the list when the body is that of a sequence, and clients know it so.
            under = Exec is { Exec.IsSequence: true }
                ? old.Annotations
                : [.. old.Annotations.Where(annotation => !RemovedAnnotations.Contains(annotation.Key))];
        }

        using var value = PooledBuffer.Rent();
        JsonText.WriteString(value, kind);
        return EntityWrites.Merge(under, sent, [new KeyValue(ExecKey, value.Span.ToArray())]);
    }

    private static byte[] Array(IReadOnlyList<string> texts)
    {
        using var value = PooledBuffer.Rent();
        value.Write("["u8);
        for (var i = 0; i < texts.Count; i++)
        {
            if (i > 0)
            {
                value.Write(","u8);
            }

            JsonText.WriteString(value, texts[i]);
        }

        value.Write("]"u8);
        return value.Span.ToArray();
    }
}
