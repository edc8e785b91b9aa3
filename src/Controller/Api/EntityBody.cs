using System.Text;
using System.Text.Json;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;

namespace Frusta.Controller.Api;

/// <summary>The parsed body of a PUT, with the members that all entities have. Numbers keep their text; of a member given twice the last counts.</summary>
internal sealed class EntityBody : IDisposable
{
    private static readonly JsonWriterOptions Compact = new()
    {
        Encoder = LeastEscaping.Instance,
        SkipValidation = true,
        MaxDepth = JsonBounds.MaxDepth + JsonBounds.EnvelopeDepth,
    };

    private readonly PooledBuffer _bytes;
    private readonly JsonDocument _document;

    private EntityBody(PooledBuffer bytes, JsonDocument document)
    {
        _bytes = bytes;
        _document = document;
    }

    /// <summary>The object that was sent.</summary>
    public JsonElement Root => _document.RootElement;

    /// <summary>Null when absent.</summary>
    public IReadOnlyList<KeyValue>? Parameters { get; private set; }

    /// <summary>Null when absent.</summary>
    public IReadOnlyList<KeyValue>? Annotations { get; private set; }

    /// <summary>Null when absent.</summary>
    public PutExec? Exec { get; private set; }

    /// <summary>Reads the body up to the size check: what is read here is refused in any collection when it is malformed.</summary>
    public static async ValueTask<(EntityBody? Body, ApiAnswer? Refusal)> ReadAsync(ApiCall call, LimitsOptions limits, RuntimesManifest manifest)
    {
        var (bytes, refusal) = await call.ReadBodyAsync(RequestBody.MaxBytes, required: true);
        if (refusal is not null)
        {
            return (null, refusal);
        }

        EntityBody body;
        try
        {
            body = new EntityBody(bytes!, JsonDocument.Parse(bytes!.Memory, JsonBounds.Document));
        }
        catch (JsonException exception)
        {
            bytes!.Dispose();
            return (null, ApiAnswer.MalformedContent(exception.Message));
        }

        var answer = Guard(() => body.ReadCommon(call.Caller, limits, manifest));
        if (answer is null)
        {
            return (body, null);
        }

        body.Dispose();
        return (null, answer);
    }

    /// <summary>Runs a reading and gives back the answer to a malformed body.</summary>
    public static ApiAnswer? Guard(Func<ApiAnswer?> read)
    {
        try
        {
            return read();
        }
        catch (MalformedContentException malformed)
        {
            return malformed.Answer;
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException)
        {
            // A lone surrogate, which JSON can say and no string can hold.
            return ApiAnswer.MalformedContent(exception.Message);
        }
    }

    public void Dispose()
    {
        _document.Dispose();
        _bytes.Dispose();
    }

    /// <summary>The member; false when it is absent or null.</summary>
    public bool TryGet(string name, out JsonElement value) =>
        Root.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>The version, or null when absent.</summary>
    public string? Version()
    {
        if (!TryGet("version", out var value))
        {
            return null;
        }

        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        return SemanticVersion.Parse(text) ?? throw new MalformedContentException(EntityTexts.VersionMalformed);
    }

    /// <summary>The flag, or null when absent.</summary>
    public bool? Publish()
    {
        if (!TryGet("publish", out var value))
        {
            return null;
        }

        return value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw new MalformedContentException($"Expected a boolean for 'publish', but got {Shorten(value.GetRawText())}"),
        };
    }

    /// <summary>A name of another entity in either form; null when absent.</summary>
    /// <param name="member">Name of the member.</param>
    /// <param name="own">What <c>_</c> stands for.</param>
    public FullyQualifiedName? Reference(string member, string own) =>
        TryGet(member, out var value) ? NameReading.Read(value, own) : null;

    /// <summary>JSON of a value without white space.</summary>
    public static byte[] Minify(JsonElement value)
    {
        if (value.ValueKind is JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False or JsonValueKind.Null)
        {
            return Encoding.UTF8.GetBytes(value.GetRawText());
        }

        using var buffer = PooledBuffer.Rent();
        using (var writer = new Utf8JsonWriter(buffer, Compact))
        {
            value.WriteTo(writer);
        }

        return buffer.Span.ToArray();
    }

    private ApiAnswer? ReadCommon(Contracts.Entities.Identity caller, LimitsOptions limits, RuntimesManifest manifest)
    {
        if (Root.ValueKind != JsonValueKind.Object)
        {
            throw new MalformedContentException("Object expected in field 'exec'");
        }

        Exec = TryGet("exec", out var exec) ? ExecReading.Read(exec, manifest, caller.NamespaceName) : null;
        Parameters = TryGet("parameters", out var parameters) ? Pairs(parameters) : null;
        Annotations = TryGet("annotations", out var annotations) ? Pairs(annotations) : null;
        if (Exec is not null && Exec.SizeBytes > limits.MaxCodeBytes)
        {
            return ApiAnswer.Error(413, EntityTexts.TooLarge("exec", Exec.SizeBytes, limits.MaxCodeBytes));
        }

        var bound = Math.Min(caller.Limits.MaxParameterSize ?? limits.MaxParameterBytes, limits.MaxParameterBytes);
        return CheckSize("parameters", Parameters, bound) ?? CheckSize("annotations", Annotations, bound);
    }

    private static ApiAnswer? CheckSize(string what, IReadOnlyList<KeyValue>? pairs, long bound)
    {
        var size = pairs?.Sum(pair => (long)Encoding.UTF8.GetByteCount(pair.Key) + pair.Value.Length) ?? 0;
        return size > bound ? ApiAnswer.Error(413, EntityTexts.TooLarge(what, size, bound)) : null;
    }

    private static List<KeyValue> Pairs(JsonElement array)
    {
        if (array.ValueKind != JsonValueKind.Array)
        {
            throw new MalformedContentException(EntityTexts.ParametersMalformed);
        }

        var pairs = new OrderedDictionary<string, KeyValue>(StringComparer.Ordinal);
        foreach (var element in array.EnumerateArray())
        {
            var pair = Pair(element) ?? throw new MalformedContentException(EntityTexts.ParametersMalformed);
            pairs[pair.Key] = pair;
        }

        return [.. pairs.Values];
    }

    private static KeyValue? Pair(JsonElement pair)
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

        return new KeyValue(key.GetString()!, Minify(value), hasInit && init.GetBoolean(), encryption);
    }

    private static string Shorten(string json) => json.Length <= 100 ? json : json[..100];
}
