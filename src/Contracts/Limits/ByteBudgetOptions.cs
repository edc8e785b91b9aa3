namespace Frusta.Contracts.Limits;

/// <summary>How many bytes of one kind all clients together may have the server hold (sections <c>Controller:Bodies</c> and the like).</summary>
public sealed class ByteBudgetOptions
{
    private const long LeastMaxBytes = 256L << 20;
    private const long GreatestMaxBytes = 1L << 40;

    /// <summary>Bytes that are held at a time, in all; 0 takes an eighth of this machine's or container's memory, and 256 MiB at least. One namespace holds at most a quarter of them, callers without a key together at most a tenth; under 200 MiB that quarter is too small for the largest actions. 0, or 64 MiB to 1 TiB.</summary>
    public long MaxBytes { get; set; }

    /// <summary>Bytes beside these for what is small, at most 64 KiB each, so that what is large never keeps it out; shared out alike. 1 MiB to 1 TiB.</summary>
    public long MaxSmallBytes { get; set; } = 64L << 20;

    /// <summary>The bound in bytes: what is configured, or what the memory of this machine or container makes of 0.</summary>
    internal long EffectiveMaxBytes => MaxBytes != 0
        ? MaxBytes
        : Math.Clamp(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8, LeastMaxBytes, GreatestMaxBytes);

    /// <summary>The first rule that is broken, naming key, rule and value; null when all hold.</summary>
    /// <param name="section">Where these options stand.</param>
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
