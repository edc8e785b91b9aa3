using System.Text;
using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>The body of a PUT, with the members that all entities have. Numbers keep their text; of a member given twice the last counts.</summary>
/// <remarks>A large body moves its request to the threads for large JSON.</remarks>
internal sealed class EntityBody : IDisposable
{
    /// <summary>Parameters whose text is longer than so many times their bound are first measured without making pairs of them.</summary>
    private const long MeasuredOnly = 8;

    /// <summary>The most bytes of a version as it was sent; a longer one is malformed.</summary>
    private const int MostVersionBytes = 4096;

    private static readonly string[] Members =
        ["exec", "parameters", "annotations", "limits", "version", "publish", "trigger", "action", "binding", "delAnnotations"];

    private readonly BodyBytes _bytes;
    private readonly Dictionary<string, JsonSlice> _members = new(StringComparer.Ordinal);

    private EntityBody(BodyBytes bytes) => _bytes = bytes;

    /// <summary>Null when absent.</summary>
    public IReadOnlyList<KeyValue>? Parameters { get; private set; }

    /// <summary>Null when absent.</summary>
    public IReadOnlyList<KeyValue>? Annotations { get; private set; }

    /// <summary>Null when absent.</summary>
    public PutExec? Exec { get; private set; }

    /// <summary>Reads the body up to the size check: the members that are read here are refused in any collection when they are malformed.</summary>
    public static async ValueTask<(EntityBody? Body, ApiAnswer? Refusal)> ReadAsync(ApiCall call, LimitsOptions limits, RuntimesManifest manifest)
    {
        var (bytes, refusal) = await call.ReadBodyAsync(RequestBodies.MaxBytes, required: true);
        if (refusal is not null)
        {
            return (null, refusal);
        }

        if (!await JsonTurn.EnterForAsync(bytes!.Length))
        {
            bytes.Dispose();
            return (null, ApiAnswer.Error(503));
        }

        var body = new EntityBody(bytes);
        var isRead = false;
        try
        {
            var wrong = body.ReadCommon(call.Caller, limits, manifest);
            isRead = wrong is null;
            return wrong is null ? (body, null) : (null, wrong);
        }
        finally
        {
            if (!isRead)
            {
                body.Dispose();
            }
        }
    }

    /// <summary>Gives the body's text back once everything in it was read; from then on only the code that was made of it is counted.</summary>
    public void LetTextGo() => _bytes.Keep(Exec?.Code?.Length ?? 0);

    public void Dispose() => _bytes.Dispose();

    /// <summary>The member; false when it is absent.</summary>
    public bool TryGetEvenNull(string name, out JsonSlice value) => _members.TryGetValue(name, out value);

    /// <summary>The member; false when it is absent or null.</summary>
    public bool TryGet(string name, out JsonSlice value) => _members.TryGetValue(name, out value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>The version, or null when absent.</summary>
    public Reading<string?> Version()
    {
        if (!TryGet("version", out var value))
        {
            return default;
        }

        var text = value.ValueKind == JsonValueKind.String && value.Length <= MostVersionBytes ? value.GetString() : "";
        return SemanticVersion.Parse(text) is { } version ? version : Refusal.Malformed(EntityTexts.VersionMalformed);
    }

    /// <summary>The flag, or null when absent.</summary>
    public Reading<bool?> Publish()
    {
        if (!TryGet("publish", out var value))
        {
            return default;
        }

        return value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => Refusal.Malformed($"Expected a boolean for 'publish', but got {value.GetRawText(100)}"),
        };
    }

    /// <summary>A name of another entity in either form; null when absent.</summary>
    /// <param name="member">Name of the member.</param>
    /// <param name="own">The namespace that <c>_</c> stands for.</param>
    public Reading<FullyQualifiedName?> Reference(string member, string own) =>
        TryGet(member, out var value) ? NameReading.Read(value, own) : default;

    private Refusal? ReadCommon(Identity caller, LimitsOptions limits, RuntimesManifest manifest)
    {
        if (!JsonSlice.TryParse(_bytes.Memory, Members, _members, out var text, out var problem))
        {
            return Refusal.Malformed(problem);
        }

        if (text.ValueKind != JsonValueKind.Object)
        {
            return Refusal.Malformed("Object expected in field 'exec'");
        }

        var bound = Math.Min(caller.Limits.MaxParameterSize ?? limits.MaxParameterBytes, limits.MaxParameterBytes);
        if (!ReadExec(manifest, caller).TryGet(out var exec, out var refusal)
            || !ReadPairs("parameters", bound).TryGet(out var parameters, out refusal)
            || !ReadPairs("annotations", bound).TryGet(out var annotations, out refusal))
        {
            return refusal;
        }

        (Exec, Parameters, Annotations) = (exec, parameters.Pairs, annotations.Pairs);
        return CheckSize("exec", exec?.SizeBytes ?? 0, limits.MaxCodeBytes)
            ?? CheckSize("parameters", parameters.Size, bound)
            ?? CheckSize("annotations", annotations.Size, bound);
    }

    private Reading<PutExec?> ReadExec(RuntimesManifest manifest, Identity caller) =>
        TryGet("exec", out var exec) ? ExecReading.Read(exec, manifest, caller.NamespaceName) : default;

    private static Refusal? CheckSize(string what, long size, long bound) =>
        size > bound ? new Refusal(413, EntityTexts.TooLarge(what, size, bound)) : null;

    /// <summary>
    /// The pairs of a member, and their bytes as the bound counts them. No pairs where they are far beyond the bound, and null where the member is absent.
    /// </summary>
    private Reading<(List<KeyValue>? Pairs, long Size)> ReadPairs(string member, long bound)
    {
        if (!TryGet(member, out var array))
        {
            return default;
        }

        if (array.ValueKind != JsonValueKind.Array)
        {
            return Refusal.Malformed(EntityTexts.ParametersMalformed);
        }

        if (array.Length > MeasuredOnly * bound)
        {
            if (!Measure(array).TryGet(out var measured, out var refusal))
            {
                return refusal;
            }

            if (measured > bound)
            {
                return ((List<KeyValue>?)[], measured);
            }
        }

        var pairs = new OrderedDictionary<string, KeyValue>(StringComparer.Ordinal);
        foreach (var element in array.EnumerateArray())
        {
            if (PutPair.Read(element) is not { } pair)
            {
                return Refusal.Malformed(EntityTexts.ParametersMalformed);
            }

            var key = pair.Key.GetString();
            pairs[key] = new KeyValue(key, pair.Value.Minify(), pair.Init, pair.Encryption);
        }

        var size = pairs.Values.Sum(pair => (long)Encoding.UTF8.GetByteCount(pair.Key) + pair.Value.Length + (pair.Encryption?.Length ?? 0));
        return ((List<KeyValue>?)[.. pairs.Values], size);
    }

    /// <summary>The bytes of all pairs; those of a repeated key count each time.</summary>
    private static Reading<long> Measure(JsonSlice array)
    {
        var size = 0L;
        foreach (var element in array.EnumerateArray())
        {
            if (PutPair.Read(element) is not { } pair)
            {
                return Refusal.Malformed(EntityTexts.ParametersMalformed);
            }

            size += pair.Key.GetUtf8().Length + pair.Value.MinifiedLength();
        }

        return size;
    }

    /// <summary>One parameter or annotation as it was sent.</summary>
    private readonly record struct PutPair(JsonSlice Key, JsonSlice Value, bool Init, string? Encryption)
    {
        /// <summary>Null when it does not have the right form.</summary>
        public static PutPair? Read(JsonSlice pair)
        {
            if (pair.ValueKind != JsonValueKind.Object
                || !pair.TryGetProperty("key", out var key) || key.ValueKind != JsonValueKind.String
                || !pair.TryGetProperty("value", out var value))
            {
                return null;
            }

            var hasInit = pair.TryGetProperty("init", out var init);
            if (hasInit && init.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            {
                return null;
            }

            string? encryption = null;
            if (pair.TryGetProperty("encryption", out var scheme))
            {
                if (scheme.ValueKind == JsonValueKind.String)
                {
                    encryption = scheme.GetString();
                }
                else if (scheme.ValueKind != JsonValueKind.Null || !hasInit)
                {
                    return null;
                }
            }

            return new PutPair(key, value, init.ValueKind == JsonValueKind.True, encryption);
        }
    }
}
