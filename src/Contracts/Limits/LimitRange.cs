namespace Frusta.Contracts.Limits;

/// <summary>The values that one limit of an action may have in a namespace.</summary>
/// <param name="Name">The limit as the text of a refusal names it.</param>
/// <param name="Unit">The unit with a space before it; empty for a plain number.</param>
/// <param name="Least">The least value.</param>
/// <param name="Most">The greatest value; below the least value when a namespace may have no action at all.</param>
public readonly record struct LimitRange(string Name, string Unit, int Least, int Most)
{
    /// <summary>The text that refuses a value, for a PUT and for a run alike; null for a value inside of the range, or for no value.</summary>
    public string? Refusal(int? value)
    {
        if (value > Most)
        {
            return $"requirement failed: {Name} {value}{Unit} exceeds allowed threshold of {Most}{Unit}";
        }

        return value < Least ? $"requirement failed: {Name} {value}{Unit} below allowed threshold of {Least}{Unit}" : null;
    }
}
