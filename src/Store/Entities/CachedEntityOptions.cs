namespace Frusta.Store.Entities;

/// <summary>The bounds of the cache of documents.</summary>
public sealed class CachedEntityOptions
{
    /// <summary>Documents that are kept in memory, without their code some hundred bytes each. 1 to 10000000.</summary>
    public int Documents { get; set; } = 20_000;

    /// <summary>Approximate bytes that these documents take in memory; when there are more, all are dropped and read again. 1 MiB to 1 TiB.</summary>
    public long MaxBytes { get; set; } = 256L << 20;

    /// <summary>A sentence on the first option that is out of range; null when none is.</summary>
    /// <param name="section">The section of these options.</param>
    public string? Validate(string section) =>
        Documents is < 1 or > 10_000_000 ? $"{section}:{nameof(Documents)} must be from 1 to 10000000, but it is {Documents}."
        : MaxBytes is < 1L << 20 or > 1L << 40 ? $"{section}:{nameof(MaxBytes)} must be from {1L << 20} to {1L << 40}, but it is {MaxBytes}."
        : null;
}
