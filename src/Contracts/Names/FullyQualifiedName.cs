namespace Frusta.Contracts.Names;

/// <summary>Where an entity lives: its namespace, the package for an action in one, and its name.</summary>
public sealed record FullyQualifiedName(string Namespace, string? Package, string Name)
{
    /// <summary><c>ns</c> or <c>ns/pkg</c>: what OpenWhisk shows as the entity's namespace or path.</summary>
    public string Path => Package is null ? Namespace : $"{Namespace}/{Package}";

    /// <summary><c>ns[/pkg]/name</c>: the identity of the document, shared by all collections.</summary>
    public string DocumentId => Package is null ? $"{Namespace}/{Name}" : $"{Namespace}/{Package}/{Name}";

    public override string ToString() => DocumentId;
}
