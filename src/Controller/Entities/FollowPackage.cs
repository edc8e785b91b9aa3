using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;

namespace Frusta.Controller.Entities;

/// <summary>The package of a name, and if it is a binding, the package that it is bound to.</summary>
/// <param name="Outcome">Whether a package was found under the name.</param>
/// <param name="Package">The package with that name, plain or a binding; null unless it was found.</param>
/// <param name="ProviderOutcome">Whether a package was found under the name that the binding is bound to; <c>Found</c> for a plain package.</param>
/// <param name="Provider">The package that the binding is bound to; null without a binding, and where it was not found.</param>
internal readonly record struct FollowedPackage(ResolveOutcome Outcome, PackageDocument? Package, ResolveOutcome ProviderOutcome, PackageDocument? Provider)
{
    /// <summary><c>Found</c> when all packages on the way were found, else the outcome at the first that was not.</summary>
    public ResolveOutcome End => Outcome == ResolveOutcome.Found ? ProviderOutcome : Outcome;

    /// <summary>The real name of an action that is called through this package. Only for a package that was found.</summary>
    public FullyQualifiedName PlaceOf(string action)
    {
        var home = Package!.Binding ?? Package.Name;
        return new FullyQualifiedName(home.Namespace, home.Name, action);
    }

    /// <summary>The parameters that the package gives to its actions: the provider's, with the binding's over them. Only for a package that was found.</summary>
    public IReadOnlyList<KeyValue> Parameters => Provider is null ? Package!.Parameters : EntityWrites.Merge(Provider.Parameters, Package!.Parameters);
}

/// <summary>Finds a package by name and follows its binding. The package that a binding is bound to is a plain one, so nothing more is followed.</summary>
internal static class FollowPackage
{
    /// <param name="read">Reads the documents.</param>
    /// <param name="packageId"><c>ns/package</c>.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async ValueTask<FollowedPackage> FollowAsync(this ReadEntity read, string packageId, CancellationToken cancellationToken)
    {
        var (outcome, package) = await read(packageId, cancellationToken).OfKindAsync<PackageDocument>();
        if (package is not { Binding: { } target })
        {
            return new FollowedPackage(outcome, package, ResolveOutcome.Found, null);
        }

        var (providerOutcome, provider) = await read(target.DocumentId, cancellationToken).OfKindAsync<PackageDocument>();
        return new FollowedPackage(outcome, package, providerOutcome, provider);
    }
}
