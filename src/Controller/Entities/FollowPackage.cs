using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;

namespace Frusta.Controller.Entities;

/// <summary>A package as its name leads to it, and the package that it is bound to when it is a binding.</summary>
/// <param name="Outcome">What was found under the package's name.</param>
/// <param name="Package">The package with that name, plain or a binding; null unless it was found.</param>
/// <param name="ProviderOutcome">What was found under the name that a binding is bound to; found for a plain package.</param>
/// <param name="Provider">The package that the binding is bound to; null without a binding, and where it was not found.</param>
internal readonly record struct FollowedPackage(ResolveOutcome Outcome, PackageDocument? Package, ResolveOutcome ProviderOutcome, PackageDocument? Provider)
{
    /// <summary>Found when the whole way was gone, else what was at the place where it ended.</summary>
    public ResolveOutcome End => Outcome == ResolveOutcome.Found ? ProviderOutcome : Outcome;

    /// <summary>Where an action of this name lies when it is called through the package. For a package that was found.</summary>
    public FullyQualifiedName PlaceOf(string action)
    {
        var home = Package!.Binding ?? Package.Name;
        return new FullyQualifiedName(home.Namespace, home.Name, action);
    }

    /// <summary>The parameters that the package gives to its actions: the provider's, and the binding's over them. For a package that was found.</summary>
    public IReadOnlyList<KeyValue> Parameters => Provider is null ? Package!.Parameters : EntityWrites.Merge(Provider.Parameters, Package!.Parameters);
}

/// <summary>The one way from the name of a package through its binding. A binding leads to a plain package: the way ends there.</summary>
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
