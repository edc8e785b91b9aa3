using Frusta.Contracts.Entities;

namespace Frusta.Controller.Identities;

/// <summary>Finds the identity of a uuid and a key; null when no subject has them. Completes at once where the subjects are in memory.</summary>
/// <param name="uuid">The uuid; good until the call returns.</param>
/// <param name="key">The key, which is compared in constant time; good until the call returns.</param>
/// <param name="cancellationToken">Ends the wait.</param>
public delegate ValueTask<Identity?> FindIdentity(ReadOnlySpan<char> uuid, ReadOnlySpan<byte> key, CancellationToken cancellationToken);
