namespace Frusta.Contracts.Entities;

/// <summary>The identity of a caller: the subject, the namespace that its key belongs to, and the namespace's own limits.</summary>
/// <param name="Subject">Name of the subject.</param>
/// <param name="NamespaceName">Name of the namespace.</param>
/// <param name="NamespaceUuid">The user part of the key. Throttles, and the reuse of sandboxes, go by it.</param>
/// <param name="AuthKey"><c>uuid:key</c>. Secret: never logged.</param>
/// <param name="Limits">Overrides of the system limits.</param>
public sealed record Identity(string Subject, string NamespaceName, string NamespaceUuid, string AuthKey, NamespaceLimits Limits)
{
    /// <summary>Keeps the key out of logs and messages.</summary>
    public override string ToString() => $"{Subject}@{NamespaceName}";
}
