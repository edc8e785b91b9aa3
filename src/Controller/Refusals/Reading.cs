using System.Diagnostics.CodeAnalysis;

namespace Frusta.Controller.Refusals;

/// <summary>A part of a request that was read, or the refusal of the request. The default value is an absent part.</summary>
internal readonly struct Reading<T>
{
    private readonly T? _value;
    private readonly Refusal? _refusal;

    private Reading(T? value, Refusal? refusal)
    {
        _value = value;
        _refusal = refusal;
    }

    public static implicit operator Reading<T>(T value) => new(value, null);

    public static implicit operator Reading<T>(Refusal refusal) => new(default, refusal);

    /// <summary>False when the request is refused.</summary>
    public bool TryGet([MaybeNullWhen(false)] out T value, [NotNullWhen(false)] out Refusal? refusal)
    {
        value = _value!;
        refusal = _refusal;
        return refusal is null;
    }
}
