namespace Frusta.Contracts.Names;

/// <summary>The full name of an entity: its namespace, for an action in a package the package, and its name.</summary>
public sealed record FullyQualifiedName(string Namespace, string? Package, string Name)
{
    /// <summary><c>ns</c> or <c>ns/pkg</c>, which OpenWhisk shows as the entity's namespace or path.</summary>
    public string Path => Package is null ? Namespace : $"{Namespace}/{Package}";

    /// <summary><c>ns[/pkg]/name</c>: the identity of the document, shared by all collections.</summary>
    public string DocumentId => Package is null ? $"{Namespace}/{Name}" : $"{Namespace}/{Package}/{Name}";

    /// <summary>
    /// Reads <c>[/]ns[/pkg]/name</c>; null when there are fewer than two segments. As in OpenWhisk, empty segments are ignored, and all segments between the
    /// first and the last are the package.
    /// </summary>
    public static FullyQualifiedName? Parse(string path) => Of(path.Split('/', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>The name of these segments, as <see cref="Parse"/> reads it; null when there are fewer than two.</summary>
    public static FullyQualifiedName? Of(ReadOnlySpan<string> segments) =>
        segments.Length < 2 ? null : new FullyQualifiedName(segments[0], segments.Length == 2 ? null : string.Join('/', segments[1..^1]), segments[^1]);

    /// <summary>The full name of an entity with this name in a path <c>ns[/pkg]</c>.</summary>
    public static FullyQualifiedName In(string path, string name)
    {
        var slash = path.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? new FullyQualifiedName(path, null, name) : new FullyQualifiedName(path[..slash], path[(slash + 1)..], name);
    }

    public override string ToString() => DocumentId;
}
