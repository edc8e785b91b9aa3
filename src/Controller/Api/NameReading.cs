using System.Text.Json;
using Frusta.Contracts.Json;
using Frusta.Contracts.Names;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>Names of other entities inside a body: <c>/ns[/pkg]/name</c>, or an object with path and name.</summary>
internal static class NameReading
{
    /// <summary>The most characters of a path: far more than the name of any entity has.</summary>
    private const int MostCharacters = 16 * 1024;

    /// <param name="value">The JSON.</param>
    /// <param name="own">The namespace that <c>_</c> stands for.</param>
    public static Reading<FullyQualifiedName?> Read(JsonSlice value, string own)
    {
        if (value.Length > MostCharacters)
        {
            return Refusal.Malformed(EntityTexts.NameMalformed);
        }

        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                return Segments(value.GetString()).TryGet(out var named, out var refusal) ? Join(named, own) : refusal;
            case JsonValueKind.Object when Text(value, "path") is { } path && Text(value, "name") is { } name && EntityName.IsValid(name):
                var segments = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
                if (segments.Length > 0 && segments.All(segment => EntityName.IsValid(segment)))
                {
                    return Join([.. segments, name], own);
                }

                goto default;
            default:
                return Refusal.Malformed(EntityTexts.NameMalformed);
        }
    }

    /// <summary>The segments of a path, each a legal name.</summary>
    private static Reading<string[]> Segments(string text)
    {
        var segments = text.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments.Length == 0)
        {
            return Refusal.Malformed(EntityTexts.PathUndefined);
        }

        if (!segments.All(segment => EntityName.IsValid(segment)))
        {
            return Refusal.Malformed(EntityTexts.InvalidParts(string.Join(", ", segments.Where(segment => !EntityName.IsValid(segment)))));
        }

        return segments;
    }

    private static Reading<FullyQualifiedName?> Join(string[] segments, string own)
    {
        if (FullyQualifiedName.Of(segments) is not { } name)
        {
            return Refusal.Malformed(EntityTexts.NameTooShort);
        }

        return string.Equals(name.Namespace, "_", StringComparison.Ordinal) ? name with { Namespace = own } : name;
    }

    private static string? Text(JsonSlice json, string member) =>
        json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
