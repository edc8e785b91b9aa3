namespace Frusta.Contracts.Buffers;

/// <summary>The host has no more memory for this process: nothing was done, the caller may try again later (503).</summary>
public sealed class HostMemoryException(string message) : IOException(message);
