using Frusta.Contracts.Names;

namespace Frusta.Invoker.Pool;

/// <summary>Activations with the same key share sandboxes: those of two namespaces never do, nor those of two revisions of an action.</summary>
/// <param name="NamespaceUuid">Namespace of the caller.</param>
/// <param name="Action">The action at its real place.</param>
/// <param name="Revision">Revision of the action's document.</param>
internal readonly record struct PoolKey(string NamespaceUuid, FullyQualifiedName Action, string Revision)
{
    // Written out: the generated methods go through EqualityComparer for each member, and these run once an activation.
    public bool Equals(PoolKey other) =>
        string.Equals(Revision, other.Revision, StringComparison.Ordinal) &&
        string.Equals(NamespaceUuid, other.NamespaceUuid, StringComparison.Ordinal) &&
        (ReferenceEquals(Action, other.Action) || Action.Equals(other.Action));

    public override int GetHashCode() => HashCode.Combine(
        string.GetHashCode(Revision, StringComparison.Ordinal),
        string.GetHashCode(Action.Name, StringComparison.Ordinal),
        string.GetHashCode(NamespaceUuid, StringComparison.Ordinal));
}
