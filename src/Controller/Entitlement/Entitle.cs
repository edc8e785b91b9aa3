using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Refusals;
using Frusta.Store.Entities;

namespace Frusta.Controller.Entitlement;

/// <summary>The right that a caller needs for an entity.</summary>
public enum Right : byte
{
    Read,
    Put,
    Delete,
    Activate,
}

/// <summary>
/// Decides whether a caller may do something with an entity. A namespace's entities belong to its owner; another caller may read packages that are
/// published, and read and activate the actions in them. An answer never tells a caller whether an entity exists that it may not see.
/// </summary>
public sealed class Entitle(IEntityStore store)
{
    /// <summary>The most bindings that are followed. The API makes no bindings of bindings, but a store that another program filled may hold them.</summary>
    private const int MostBindings = 8;

    private enum Sight : byte
    {
        Allowed,
        Refused,
        Missing,
        OtherCollection,
        Corrupt,
        Circular,
    }

    /// <summary>Asks for a whole collection; any caller may list packages.</summary>
    /// <returns>Null when allowed, else the refusal.</returns>
    public static Refusal? CheckCollection(Identity caller, bool ofPackages, string namespaceName) =>
        ofPackages || IsOwn(caller, namespaceName)
            ? null
            : new Refusal(403, EntityTexts.NotAuthorized(namespaceName));

    /// <summary>Asks for one activation.</summary>
    public static Refusal? CheckActivation(Identity caller, string namespaceName, string id) =>
        IsOwn(caller, namespaceName) ? null : new Refusal(403, EntityTexts.NotAuthorized($"{namespaceName}/{id}"));

    /// <summary>Asks for one entity.</summary>
    /// <returns>Null when allowed, else the refusal.</returns>
    public async ValueTask<Refusal?> CheckAsync(
        Identity caller, Right right, EntityKind kind, FullyQualifiedName name, CancellationToken cancellationToken)
    {
        if (kind == EntityKind.Action && name.Package is { } package && right is Right.Read or Right.Activate)
        {
            return await CheckPackageAsync(caller, name.Namespace, package, isNamed: false, cancellationToken);
        }

        if (kind == EntityKind.Package && right == Right.Read)
        {
            return await CheckPackageAsync(caller, name.Namespace, name.Name, isNamed: true, cancellationToken);
        }

        return IsOwn(caller, name.Namespace) ? null : new Refusal(403, EntityTexts.NotAuthorized(name.DocumentId));
    }

    /// <summary>As <see cref="CheckActivate"/> asks.</summary>
    public ValueTask<Refusal?> CheckActivateAsync(
        Identity caller, EntityKind kind, FullyQualifiedName name, CancellationToken cancellationToken)
    {
        // The warm path: an own action outside of packages asks no store.
        return name.Package is null && IsOwn(caller, name.Namespace)
            ? default
            : CheckAsync(caller, Right.Activate, kind, name, cancellationToken);
    }

    /// <summary>
    /// Asks for the entities that a body refers to. The refusal names all that are refused, in ascending order; but the first action in a package that is
    /// refused is named alone.
    /// </summary>
    public async ValueTask<Refusal?> CheckReferencedAsync(
        Identity caller, IEnumerable<(EntityKind Kind, FullyQualifiedName Name)> names, CancellationToken cancellationToken)
    {
        var refused = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var (kind, name) in names)
        {
            if (kind == EntityKind.Action && name.Package is not null)
            {
                if (await CheckAsync(caller, Right.Read, kind, name, cancellationToken) is { } answer)
                {
                    return answer;
                }
            }
            else if (!IsOwn(caller, name.Namespace))
            {
                refused.Add(name.DocumentId);
            }
        }

        return refused.Count == 0 ? null : new Refusal(403, EntityTexts.NotAuthorized(string.Join(", ", refused)));
    }

    /// <summary>Asks whether a package may be read.</summary>
    /// <param name="caller">The caller.</param>
    /// <param name="namespaceName">The namespace of the package.</param>
    /// <param name="package">Its name.</param>
    /// <param name="isNamed">True when a missing package is named in the answer.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Refusal?> CheckPackageAsync(
        Identity caller, string namespaceName, string package, bool isNamed, CancellationToken cancellationToken)
    {
        var id = $"{namespaceName}/{package}";
        return await LookAsync(caller, namespaceName, id, MostBindings, cancellationToken) switch
        {
            Sight.Allowed => null,
            Sight.Missing => new Refusal(404, isNamed ? EntityTexts.NamedMissing(id) : ApiTexts.NotFound),
            Sight.OtherCollection => new Refusal(409, ApiTexts.OtherCollection),
            Sight.Corrupt => new Refusal(500, ApiTexts.Corrupt),
            Sight.Circular => new Refusal(422, EntityTexts.Circular(id)),
            _ => new Refusal(403, EntityTexts.NotAuthorized(id)),
        };
    }

    /// <summary>Follows bindings, and checks the caller's right at each package before it reads the next one.</summary>
    private async ValueTask<Sight> LookAsync(Identity caller, string namespaceName, string id, int depth, CancellationToken cancellationToken)
    {
        var own = IsOwn(caller, namespaceName);
        var (outcome, package) = await store.GetAsync(id, cancellationToken).OfKindAsync<PackageDocument>();
        if (package is null)
        {
            return !own ? Sight.Refused : outcome switch
            {
                ResolveOutcome.NotFound => Sight.Missing,
                ResolveOutcome.OtherCollection => Sight.OtherCollection,
                _ => Sight.Corrupt,
            };
        }

        if (package.Binding is not { } target)
        {
            return own || package.Publish ? Sight.Allowed : Sight.Refused;
        }

        if (!own || depth == 0)
        {
            return Sight.Refused;
        }

        return string.Equals(target.DocumentId, id, StringComparison.Ordinal)
            ? Sight.Circular
            : await LookAsync(caller, target.Namespace, target.DocumentId, depth - 1, cancellationToken);
    }

    private static bool IsOwn(Identity caller, string namespaceName) =>
        string.Equals(caller.NamespaceName, namespaceName, StringComparison.Ordinal);
}
