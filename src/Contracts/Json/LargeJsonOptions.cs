namespace Frusta.Contracts.Json;

/// <summary>Bounds of the threads that read, merge and write JSON that is too large for an event loop (sections <c>Controller:LargeJson</c> and the like).</summary>
public sealed class LargeJsonOptions
{
    /// <summary>
    /// Bytes of JSON that are read or written on an event loop, while other requests wait for it; larger JSON goes to threads of its own. 1024 to 16777216.
    /// </summary>
    public int InlineBytes { get; set; } = 64 * 1024;

    /// <summary>Threads that work on larger JSON. One namespace may have all but one of them at a time. 1 to 64.</summary>
    public int Threads { get; set; } = 2;

    /// <summary>
    /// Requests with large JSON that run or wait on these threads at a time; further ones are refused. One namespace may have a quarter of them. 4 to 100000.
    /// </summary>
    public int MaxWaiting { get; set; } = 1024;

    /// <summary>A sentence on the first rule that is broken, with key, rule and value; null when all rules hold.</summary>
    /// <param name="section">The section of these options.</param>
    public string? Validate(string section) =>
        Check(section, nameof(InlineBytes), InlineBytes, 1024, 16 << 20)
        ?? Check(section, nameof(Threads), Threads, 1, 64)
        ?? Check(section, nameof(MaxWaiting), MaxWaiting, 4, 100_000);

    private static string? Check(string section, string key, int value, int least, int greatest) => value < least || value > greatest
        ? $"{section}:{key} must be from {least} to {greatest}, but it is {value}."
        : null;
}
