using System.Collections.Concurrent;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;

namespace Frusta.Controller.Invocation;

/// <summary>Finds the action of a name: reads its package, the package that this is bound to, and the action.</summary>
/// <remarks>
/// The merged form is kept as long as the documents keep their revisions. Each call reads the documents themselves (a
/// cache answers), so an action that is found here is never out of date.
/// </remarks>
public sealed class ResolveAction(ReadEntity read, InvocationOptions options)
{
    // Larger documents are merged on a thread of the pool, so that they do not hold up an event loop.
    private const int MergedHereBytes = 64 * 1024;

    private readonly ConcurrentDictionary<FullyQualifiedName, Known> _known = new();

    // Bytes of all actions that were kept since they were last dropped. Those replaced meanwhile count too, so all are dropped a little early.
    private long _knownBytes;

    public ValueTask<(ResolveOutcome Outcome, ResolvedAction? Action)> FindAsync(FullyQualifiedName name, CancellationToken cancellationToken)
    {
        // On the warm path every document comes from the cache at once, and no state machine is made.
        if (_known.TryGetValue(name, out var known))
        {
            var reading = known.PackageId is null ? read(known.ActionId, cancellationToken) : default;
            if (known.PackageId is null && reading.IsCompletedSuccessfully)
            {
                return reading.GetAwaiter().GetResult() is { } document && IsSame(document, known.Action.Action)
                    ? new ValueTask<(ResolveOutcome, ResolvedAction?)>((ResolveOutcome.Found, known.Action))
                    : FindSlowlyAsync(name, known, cancellationToken);
            }

            if (known.PackageId is null)
            {
                return FindSlowlyAsync(name, known, cancellationToken, reading);
            }
        }

        return FindSlowlyAsync(name, known, cancellationToken);
    }

    private async ValueTask<(ResolveOutcome Outcome, ResolvedAction? Action)> FindSlowlyAsync(
        FullyQualifiedName name,
        Known? known,
        CancellationToken cancellationToken,
        ValueTask<EntityDocument?>? reading = null)
    {
        FollowedPackage followed = default;
        var place = name;
        if (name.Package is not null)
        {
            followed = await read.FollowAsync(known?.PackageId ?? name.Path, cancellationToken);
            if (followed.End != ResolveOutcome.Found)
            {
                return (followed.End, null);
            }

            place = followed.Provider is null ? name : followed.PlaceOf(name.Name);
        }

        var (outcome, action) = await (reading ?? read(place.DocumentId, cancellationToken)).OfKindAsync<ActionDocument>();
        return (outcome, action is null ? null : await KeepAsync(name, followed.Package, followed.Provider, action, known));
    }

    private async ValueTask<ResolvedAction> KeepAsync(FullyQualifiedName name, PackageDocument? package, PackageDocument? provider, ActionDocument action, Known? known)
    {
        if (known is { Action: var kept } && IsSame(action, kept.Action) && IsSame(package, kept.Package) && IsSame(provider, kept.Provider))
        {
            return kept;
        }

        if (action.SizeBytes + (package?.SizeBytes ?? 0) + (provider?.SizeBytes ?? 0) > MergedHereBytes)
        {
            await Task.Yield();
        }

        var resolved = new ResolvedAction(name, package, provider, action);
        if (_known.Count >= options.ResolvedActions || Interlocked.Add(ref _knownBytes, resolved.SizeBytes) > options.ResolvedBytes)
        {
            // With so many actions some are merged again now and then. To keep them in the order of their use would cost something at each call.
            _known.Clear();
            Interlocked.Exchange(ref _knownBytes, resolved.SizeBytes);
        }

        _known[name] = new Known(package is null ? null : package.Name.DocumentId, action.Name.DocumentId, resolved);
        return resolved;
    }

    private static bool IsSame(EntityDocument? one, EntityDocument? other) =>
        ReferenceEquals(one, other)
        || (one is not null && other is not null && one.Kind == other.Kind
            && string.Equals(one.Revision, other.Revision, StringComparison.Ordinal));

    private sealed record Known(string? PackageId, string ActionId, ResolvedAction Action);
}
