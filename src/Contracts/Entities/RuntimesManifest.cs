using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;

namespace Frusta.Contracts.Entities;

/// <summary>Stem cells of a kind, as the manifest asks for them.</summary>
/// <param name="Count">How many.</param>
/// <param name="MemoryMb">Megabytes of each.</param>
public sealed record StemCell(int Count, int MemoryMb);

/// <summary>One entry of the manifest.</summary>
/// <param name="Family">Such as <c>nodejs</c>.</param>
/// <param name="Kind">Such as <c>nodejs:20</c>.</param>
/// <param name="Image"><c>[registry/][prefix/]name[:tag]</c>.</param>
/// <param name="IsDefault">True for the kind that <c>family:default</c> stands for.</param>
/// <param name="Deprecated">True when actions of the kind can still be read and deleted, and nothing else.</param>
/// <param name="Attached">True when code is kept beside the document.</param>
/// <param name="RequireMain">True when an action must name its entry point.</param>
/// <param name="StemCells">Stem cells to keep ready.</param>
public sealed record RuntimeKind(
    string Family,
    string Kind,
    string Image,
    bool IsDefault,
    bool Deprecated,
    bool Attached,
    bool RequireMain,
    IReadOnlyList<StemCell> StemCells);

/// <summary>The kinds of a deployment, as OpenWhisk's manifest lists them (<c>runtimes.json</c>).</summary>
public sealed class RuntimesManifest
{
    private const string DefaultSuffix = ":default";

    private readonly Dictionary<string, RuntimeKind> _byKind;

    private RuntimesManifest(IReadOnlyList<RuntimeKind> kinds)
    {
        Kinds = kinds;
        _byKind = kinds.ToDictionary(kind => kind.Kind, StringComparer.Ordinal);
    }

    /// <summary>The manifest of a stock deployment.</summary>
    public static RuntimesManifest Stock { get; } = ReadStock();

    /// <summary>All kinds, family by family in the manifest's order.</summary>
    public IReadOnlyList<RuntimeKind> Kinds { get; }

    /// <summary>Reads a manifest.</summary>
    /// <returns>A sentence on the first rule that is broken; null when all rules hold.</returns>
    public static string? Read(ReadOnlyMemory<byte> json, out RuntimesManifest? manifest)
    {
        manifest = null;
        try
        {
            using var document = JsonDocument.Parse(json);
            var kinds = new List<RuntimeKind>();
            foreach (var family in document.RootElement.GetProperty("runtimes").EnumerateObject())
            {
                if (ReadFamily(family, kinds) is { } broken)
                {
                    return broken;
                }
            }

            if (kinds.GroupBy(kind => kind.Kind, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is { } twice)
            {
                return $"The runtimes manifest has the kind '{twice.Key}' twice.";
            }

            manifest = new RuntimesManifest(kinds);
            return null;
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return $"The runtimes manifest cannot be read: {exception.Message}";
        }
    }

    /// <summary>The kind of exactly this name.</summary>
    public bool TryFind(string kind, [NotNullWhen(true)] out RuntimeKind? found) => _byKind.TryGetValue(kind, out found);

    /// <summary>
    /// The kind that a client means: the one of this name, or for <c>family:default</c> the family's default. The name is trimmed and in lower case already.
    /// </summary>
    public bool TryResolve(string kind, [NotNullWhen(true)] out RuntimeKind? found)
    {
        if (_byKind.TryGetValue(kind, out found))
        {
            return true;
        }

        if (!kind.EndsWith(DefaultSuffix, StringComparison.Ordinal))
        {
            return false;
        }

        var family = kind[..^DefaultSuffix.Length];
        found = Kinds.FirstOrDefault(one => one.IsDefault && string.Equals(one.Family, family, StringComparison.Ordinal));
        return found is not null;
    }

    /// <summary>True for a kind whose actions may only be read and deleted.</summary>
    public bool IsDeprecated(string kind) => _byKind.TryGetValue(kind, out var found) && found.Deprecated;

    private static RuntimesManifest ReadStock()
    {
        using var resource = typeof(RuntimesManifest).Assembly.GetManifestResourceStream("runtimes.json")!;
        using var copy = new MemoryStream();
        resource.CopyTo(copy);
        return Read(copy.ToArray(), out var manifest) is { } broken ? throw new InvalidOperationException(broken) : manifest!;
    }

    private static string? ReadFamily(JsonProperty family, List<RuntimeKind> kinds)
    {
        var entries = family.Value.EnumerateArray().ToList();
        var defaults = entries.Count(entry => Flag(entry, "default"));
        if (entries.Count > 1 && defaults != 1)
        {
            return $"The family '{family.Name}' of the runtimes manifest must have one default kind, but it has {defaults}.";
        }

        foreach (var entry in entries)
        {
            kinds.Add(new RuntimeKind(
                family.Name,
                entry.GetProperty("kind").GetString()!,
                Image(entry.GetProperty("image")),
                entries.Count == 1 || Flag(entry, "default"),
                Flag(entry, "deprecated"),
                entry.TryGetProperty("attached", out var attached) && attached.ValueKind == JsonValueKind.Object,
                Flag(entry, "requireMain"),
                entry.TryGetProperty("stemCells", out var cells) ? [.. cells.EnumerateArray().Select(ReadStemCell)] : []));
        }

        return null;
    }

    private static StemCell ReadStemCell(JsonElement cell) => new(
        (cell.TryGetProperty("initialCount", out var count) ? count : cell.GetProperty("count")).GetInt32(),
        int.Parse(cell.GetProperty("memory").GetString()!.Split(' ')[0], CultureInfo.InvariantCulture));

    private static string Image(JsonElement image)
    {
        var registry = Part(image, "registry");
        var prefix = Part(image, "prefix");
        var tag = Part(image, "tag");
        return $"{(registry.Length > 0 ? registry.TrimEnd('/') + "/" : "")}{(prefix.Length > 0 ? prefix + "/" : "")}"
            + $"{image.GetProperty("name").GetString()}{(tag.Length > 0 ? ":" + tag : "")}";
    }

    private static string Part(JsonElement image, string name) => image.TryGetProperty(name, out var part) ? part.GetString() ?? "" : "";

    private static bool Flag(JsonElement entry, string name) => entry.TryGetProperty(name, out var flag) && flag.ValueKind == JsonValueKind.True;
}
