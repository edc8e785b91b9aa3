using Frusta.Contracts.Names;

namespace Frusta.Contracts.Entities;

/// <summary>The four collections that share one space of names in a namespace.</summary>
public enum EntityKind : byte
{
    Action,
    Package,
    Trigger,
    Rule,
}

/// <summary>The members that all entities have. The server sets <see cref="UpdatedMs"/> at each PUT.</summary>
public abstract record EntityDocument
{
    private const long OwnBytes = 512;
    private const long PairBytes = 128;

    public required FullyQualifiedName Name { get; init; }

    /// <summary><c>major.minor.patch</c>.</summary>
    public required string Version { get; init; }

    public bool Publish { get; init; }

    public IReadOnlyList<KeyValue> Annotations { get; init; } = [];

    /// <summary>Milliseconds since 1970.</summary>
    public required long UpdatedMs { get; init; }

    /// <summary>Revision with which the document was read; empty for a document that was never stored.</summary>
    public string Revision { get; init; } = "";

    public abstract EntityKind Kind { get; }

    /// <summary>The annotation with a key, or null. Of several with the same key the last counts, as in OpenWhisk.</summary>
    public KeyValue? Annotation(string key)
    {
        for (var i = Annotations.Count - 1; i >= 0; i--)
        {
            if (string.Equals(Annotations[i].Key, key, StringComparison.Ordinal))
            {
                return Annotations[i];
            }
        }

        return null;
    }

    /// <summary>Approximate bytes of memory that it takes.</summary>
    public virtual long SizeBytes => OwnBytes + SizeOf(Annotations);

    /// <summary>Approximate bytes of memory that pairs take.</summary>
    protected static long SizeOf(IReadOnlyList<KeyValue> pairs)
    {
        var bytes = 0L;
        foreach (var pair in pairs)
        {
            bytes += PairBytes + (2 * pair.Key.Length) + pair.Value.Length + (2 * (pair.Encryption?.Length ?? 0));
        }

        return bytes;
    }
}

/// <summary>The member <c>exec</c> of an action: its kind, and where its code is.</summary>
/// <param name="Kind">Resolved kind; <c>sequence</c> and <c>blackbox</c> included.</param>
/// <param name="Main">Entry point, if the creator named one.</param>
/// <param name="Binary">Computed from the code, never taken from a client.</param>
/// <param name="Image">Image of a black-box action.</param>
/// <param name="Components">Components of a sequence, each <c>/ns[/pkg]/name</c>.</param>
/// <param name="CodeAttachment">Name of the attachment with the code text as it was sent; null without code.</param>
public sealed record ActionExec(
    string Kind,
    string? Main = null,
    bool Binary = false,
    string? Image = null,
    IReadOnlyList<string>? Components = null,
    string? CodeAttachment = null)
{
    public const string Sequence = "sequence";
    public const string BlackBox = "blackbox";

    public bool IsSequence => string.Equals(Kind, Sequence, StringComparison.Ordinal);
}

public sealed record ActionDocument : EntityDocument
{
    public override EntityKind Kind => EntityKind.Action;

    public required ActionExec Exec { get; init; }

    public IReadOnlyList<KeyValue> Parameters { get; init; } = [];

    public override long SizeBytes => base.SizeBytes + SizeOf(Parameters) + (2L * ((Exec.Main?.Length ?? 0) + (Exec.Image?.Length ?? 0)));

    public ActionLimits Limits { get; init; } = new();
}

public sealed record PackageDocument : EntityDocument
{
    public override EntityKind Kind => EntityKind.Package;

    public IReadOnlyList<KeyValue> Parameters { get; init; } = [];

    public override long SizeBytes => base.SizeBytes + SizeOf(Parameters);

    /// <summary>The package that this one is bound to (namespace and name), or null for a plain package.</summary>
    public FullyQualifiedName? Binding { get; init; }
}

public sealed record TriggerDocument : EntityDocument
{
    private const long LinkBytes = 512;

    public override EntityKind Kind => EntityKind.Trigger;

    public IReadOnlyList<KeyValue> Parameters { get; init; } = [];

    public override long SizeBytes => base.SizeBytes + SizeOf(Parameters) + (LinkBytes * (Rules?.Count ?? 0));

    /// <summary>The links to its rules, by document id of the rule; null until a first rule was linked.</summary>
    public IReadOnlyDictionary<string, RuleLink>? Rules { get; init; }
}

/// <summary>The link of a trigger to a rule. Whether the rule is active is stored only here.</summary>
public sealed record RuleLink(FullyQualifiedName Action, bool Active);

public sealed record RuleDocument : EntityDocument
{
    public override EntityKind Kind => EntityKind.Rule;

    public required FullyQualifiedName Trigger { get; init; }

    public required FullyQualifiedName Action { get; init; }
}
