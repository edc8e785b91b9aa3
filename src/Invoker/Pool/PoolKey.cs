using Frusta.Contracts.Names;

namespace Frusta.Invoker.Pool;

/// <summary>What shares sandboxes: two namespaces never do, and two revisions of an action never do.</summary>
/// <param name="NamespaceUuid">Namespace of the caller.</param>
/// <param name="Action">The action at its real place.</param>
/// <param name="Revision">Revision of the action's document.</param>
internal readonly record struct PoolKey(string NamespaceUuid, FullyQualifiedName Action, string Revision)
{
    // Written out: the generated ones go through EqualityComparer for each member, and this runs once an activation.
    public bool Equals(PoolKey other) =>
        string.Equals(Revision, other.Revision, StringComparison.Ordinal) &&
        string.Equals(NamespaceUuid, other.NamespaceUuid, StringComparison.Ordinal) &&
        (ReferenceEquals(Action, other.Action) || Action.Equals(other.Action));

    public override int GetHashCode() => HashCode.Combine(
        string.GetHashCode(Revision, StringComparison.Ordinal),
        string.GetHashCode(Action.Name, StringComparison.Ordinal),
        string.GetHashCode(NamespaceUuid, StringComparison.Ordinal));
}
