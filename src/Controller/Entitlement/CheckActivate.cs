using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Entitlement;

/// <summary>Asks whether the caller may activate an entity; null when it may, else why not (403, 404, 409).</summary>
public delegate ValueTask<Refusal?> CheckActivate(
    Identity caller,
    EntityKind kind,
    FullyQualifiedName name,
    CancellationToken cancellationToken);
