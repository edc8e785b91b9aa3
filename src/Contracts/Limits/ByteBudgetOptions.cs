namespace Frusta.Contracts.Limits;

/// <summary>Bytes of bodies, or of answers, that the server may hold for all clients together (sections <c>Controller:Bodies</c> and the like).</summary>
public sealed class ByteBudgetOptions
{
    private const long LeastMaxBytes = 256L << 20;
    private const long GreatestMaxBytes = 1L << 40;

    /// <summary>
    /// Bytes that are held at a time, in all; 0 is an eighth of this machine's or container's memory, but at least 256 MiB. One namespace holds at most a
    /// quarter of them, callers without a key together at most a tenth; under 200 MiB that quarter is too small for the largest actions. 0, or 64 MiB to 1
    /// TiB.
    /// </summary>
    public long MaxBytes { get; set; }

    /// <summary>
    /// Further bytes that only bodies or answers of at most 64 KiB may take, so that larger ones never keep them out. The shares in them are the same. 1 MiB
    /// to 1 TiB.
    /// </summary>
    public long MaxSmallBytes { get; set; } = 64L << 20;

    /// <summary>The bound in bytes: the option, or when that is 0 the part of this machine's or container's memory.</summary>
    internal long EffectiveMaxBytes => MaxBytes != 0
        ? MaxBytes
        : Math.Clamp(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8, LeastMaxBytes, GreatestMaxBytes);

    /// <summary>A sentence on the first rule that is broken, with key, rule and value; null when all rules hold.</summary>
    /// <param name="section">The section of these options.</param>
    public string? Validate(string section)
    {
        if (MaxBytes != 0 && MaxBytes is < 64L << 20 or > GreatestMaxBytes)
        {
            return $"{section}:{nameof(MaxBytes)} must be 0 or from {64L << 20} to {GreatestMaxBytes}, but it is {MaxBytes}.";
        }

        return MaxSmallBytes is < 1L << 20 or > GreatestMaxBytes
            ? $"{section}:{nameof(MaxSmallBytes)} must be from {1L << 20} to {GreatestMaxBytes}, but it is {MaxSmallBytes}."
            : null;
    }
}
