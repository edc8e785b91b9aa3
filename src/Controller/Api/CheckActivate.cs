using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;

namespace Frusta.Controller.Api;

/// <summary>Asks whether the caller may activate an entity; null when it may, else the answer it gets (403, 404, 409).</summary>
public delegate ValueTask<ApiAnswer?> CheckActivate(
    Contracts.Entities.Identity caller,
    EntityKind kind,
    FullyQualifiedName name,
    CancellationToken cancellationToken);
