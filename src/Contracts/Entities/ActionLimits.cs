namespace Frusta.Contracts.Entities;

/// <summary>The limits of one action, with OpenWhisk's defaults.</summary>
/// <param name="TimeoutMs">Milliseconds that one init or run may take.</param>
/// <param name="MemoryMb">Megabytes of one sandbox.</param>
/// <param name="LogsMb">Megabytes of log that one activation may write; 0 keeps none.</param>
/// <param name="Concurrency">Activations in one sandbox at a time.</param>
/// <param name="Instances">Sandboxes at a time, where the creator limited them.</param>
public sealed record ActionLimits(int TimeoutMs = 60_000, int MemoryMb = 256, int LogsMb = 10, int Concurrency = 1, int? Instances = null);
