using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>The member <c>exec</c> of an action, as a client sent it.</summary>
/// <param name="Exec">The member, without an attachment yet.</param>
/// <param name="Code">The code as it was sent, or null.</param>
internal sealed record PutExec(ActionExec Exec, byte[]? Code)
{
    /// <summary>Its bytes, as the bound on <c>exec</c> counts them.</summary>
    public long SizeBytes => Exec.Components is { } components
        ? components.Sum(component => (long)Encoding.UTF8.GetByteCount(component))
        : (Code?.Length ?? 0) + Encoding.UTF8.GetByteCount(Exec.Main ?? "") + Encoding.UTF8.GetByteCount(Exec.Image ?? "");
}

/// <summary>Reads the member <c>exec</c> of an action.</summary>
internal static partial class ExecReading
{
    private static readonly SearchValues<byte> Base64 =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"u8);

    public static Reading<PutExec?> Read(JsonSlice exec, RuntimesManifest manifest, string callersNamespace)
    {
        if (exec.ValueKind != JsonValueKind.Object)
        {
            return Refusal.Malformed(ApiTexts.ObjectExpected);
        }

        if (Text(exec, "kind") is not { } sent)
        {
            return Refusal.Malformed("'kind' must be a string defined in 'exec'");
        }

        var kind = sent.Trim().ToLowerInvariant();
        return kind switch
        {
            ActionExec.Sequence => ReadSequence(exec, callersNamespace),
            ActionExec.BlackBox => ReadBlackBox(exec),
            _ => ReadCode(exec, kind, manifest),
        };
    }

    /// <summary>True when the code is base64 of an archive: OpenWhisk goes by its form alone.</summary>
    public static bool IsBinary(ReadOnlySpan<byte> code)
    {
        var text = Trim(code);
        if (text.IsEmpty || text.Length % 4 != 0)
        {
            return false;
        }

        var padding = text[^1] == (byte)'=' ? text[^2] == (byte)'=' ? 2 : 1 : 0;
        return text[..^padding].IndexOfAnyExcept(Base64) < 0;
    }

    /// <summary>The text without white space around it.</summary>
    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> text)
    {
        while (Rune.DecodeFromUtf8(text, out var first, out var length) == OperationStatus.Done && Rune.IsWhiteSpace(first))
        {
            text = text[length..];
        }

        while (Rune.DecodeLastFromUtf8(text, out var last, out var length) == OperationStatus.Done && Rune.IsWhiteSpace(last))
        {
            text = text[..^length];
        }

        return text;
    }

    private static Reading<PutExec?> ReadSequence(JsonSlice exec, string callersNamespace)
    {
        if (!exec.TryGetProperty("components", out var components))
        {
            return Refusal.Malformed("'components' must be defined for sequence kind");
        }

        if (components.ValueKind != JsonValueKind.Array)
        {
            return Refusal.Malformed("'components' must be an array");
        }

        var names = new List<string>();
        foreach (var component in components.EnumerateArray())
        {
            if (names.Count == LimitsOptions.MostSequenceLength)
            {
                return new Refusal(400, EntityTexts.SequenceTooLong);
            }

            if (!NameReading.Read(component, callersNamespace).TryGet(out var name, out var refusal))
            {
                return refusal;
            }

            names.Add("/" + name!.DocumentId);
        }

        return new PutExec(new ActionExec(ActionExec.Sequence, Components: names), null);
    }

    private static Reading<PutExec?> ReadBlackBox(JsonSlice exec)
    {
        const string kind = ActionExec.BlackBox;
        if (Text(exec, "image") is not { } image)
        {
            return Refusal.Malformed("'image' must be a string defined in 'exec' for 'blackbox' actions");
        }

        if (!ImageName().IsMatch(image))
        {
            return Refusal.Malformed(EntityTexts.ImageMalformed);
        }

        byte[]? code = null;
        if (exec.TryGetProperty("code", out var value) && !CodeText(value).TryGet(out code, out var refusal))
        {
            return refusal;
        }

        if (!Main(exec, kind).TryGet(out var main, out refusal))
        {
            return refusal;
        }

        code = Trim(code).IsEmpty ? null : code;
        var digest = image.IndexOf('@', StringComparison.Ordinal);
        return new PutExec(
            new ActionExec(kind, main, code is not null && IsBinary(code), digest < 0 ? image : image[..digest]),
            code);
    }

    private static Reading<PutExec?> ReadCode(JsonSlice exec, string kind, RuntimesManifest manifest)
    {
        if (!manifest.TryResolve(kind, out var runtime))
        {
            var valid = string.Join(", ", manifest.Kinds.Select(one => one.Kind).Append(ActionExec.Sequence).Append(ActionExec.BlackBox).Select(one => $"'{one}'"));
            return Refusal.Malformed($"The specified runtime '{EntityTexts.Shown(kind)}' is not supported by this platform. Valid values are: {valid}.");
        }

        if (!exec.TryGetProperty("code", out var value) && !(runtime.Attached && exec.TryGetProperty("jar", out value)))
        {
            return Refusal.Malformed($"'code' must be a string{(runtime.Attached ? " or attachment object" : "")} defined in 'exec' for '{kind}' actions");
        }

        if (!CodeText(value).TryGet(out var code, out var refusal) || !Main(exec, kind).TryGet(out var main, out refusal))
        {
            return refusal;
        }

        if (main is null && runtime.RequireMain)
        {
            return Refusal.Malformed($"'main' must be a string defined in 'exec' for '{kind}' actions");
        }

        return new PutExec(new ActionExec(runtime.Kind, main, IsBinary(code)), code);
    }

    /// <remarks>An object that describes an attachment is refused: only the store makes attachments, so a client's would point to nothing.</remarks>
    private static Reading<byte[]> CodeText(JsonSlice code) => code.ValueKind == JsonValueKind.String
        ? code.GetUtf8()
        : Refusal.Malformed($"Could not deserialize as attachment record: {Shown(code)}");

    /// <summary>The JSON that a client sent, or the beginning of it.</summary>
    private static string Shown(JsonSlice sent) => sent.Length <= EntityTexts.MostShown ? Encoding.UTF8.GetString(sent.Minify()) : sent.GetRawText(EntityTexts.MostShown);

    private static Reading<string?> Main(JsonSlice exec, string kind)
    {
        if (!exec.TryGetProperty("main", out var main))
        {
            return default;
        }

        return main.ValueKind == JsonValueKind.String
            ? main.GetString()
            : Refusal.Malformed($"if defined, 'main' be a string in 'exec' for '{kind}' actions");
    }

    private static string? Text(JsonSlice json, string member) =>
        json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>Docker's grammar of references: an optional host with its port, path components, an optional tag and digest.</summary>
    [GeneratedRegex(
        @"\A(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?))*(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?\z",
        RegexOptions.NonBacktracking)]
    private static partial Regex ImageName();
}
