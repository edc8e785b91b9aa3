using Frusta.Controller.Refusals;
using Frusta.Store.Entities;

namespace Frusta.Controller.Entities;

/// <summary>What a request makes of the documents as they are: a unit to write and its answer, an answer alone, or a refusal.</summary>
/// <param name="Unit">What to write; null for nothing.</param>
/// <param name="Answer">Makes the answer once it is written; null for a refusal.</param>
/// <param name="Refusal">Why nothing is to be written.</param>
internal readonly record struct Change<TAnswer>(EntityUnit? Unit, Func<TAnswer>? Answer, Refusal? Refusal = null)
    where TAnswer : class
{
    public static implicit operator Change<TAnswer>(TAnswer answer) => new(null, () => answer);

    public static implicit operator Change<TAnswer>(Refusal refusal) => new(null, null, refusal);
}
