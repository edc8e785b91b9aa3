using Frusta.Controller.Refusals;
using Frusta.Store.Entities;

namespace Frusta.Controller.Entities;

/// <summary>The decision on a request, from the documents as they are now: a unit to write and its answer, an answer alone, or a refusal.</summary>
/// <param name="Unit">The documents to write; null for none.</param>
/// <param name="Answer">Makes the answer once the unit is written; null for a refusal.</param>
/// <param name="Refusal">The refusal, or null.</param>
internal readonly record struct Change<TAnswer>(EntityUnit? Unit, Func<TAnswer>? Answer, Refusal? Refusal = null)
    where TAnswer : class
{
    public static implicit operator Change<TAnswer>(TAnswer answer) => new(null, () => answer);

    public static implicit operator Change<TAnswer>(Refusal refusal) => new(null, null, refusal);
}
