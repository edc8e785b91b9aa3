namespace Frusta.Store.Entities;

/// <summary>The bounds of the cache of documents.</summary>
public sealed class CachedEntityOptions
{
    /// <summary>Documents that are kept in memory; without their code some hundred bytes each. 1 to 10000000.</summary>
    public int Documents { get; set; } = 20_000;

    /// <summary>Bytes that these documents take in memory, about; all are read again when there are more. 1 MiB to 1 TiB.</summary>
    public long MaxBytes { get; set; } = 256L << 20;

    /// <summary>Names the first option that is out of range; null when all is well.</summary>
    /// <param name="section">Where these options stand.</param>
    public string? Validate(string section) =>
        Documents is < 1 or > 10_000_000 ? $"{section}:{nameof(Documents)} must be from 1 to 10000000, but it is {Documents}."
        : MaxBytes is < 1L << 20 or > 1L << 40 ? $"{section}:{nameof(MaxBytes)} must be from {1L << 20} to {1L << 40}, but it is {MaxBytes}."
        : null;
}
