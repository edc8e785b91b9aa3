namespace Frusta.Store;

/// <summary>A newer program wrote the file. The message tells the operator what to do.</summary>
public sealed class StoreFormatException(string message) : Exception(message);

/// <summary>A queue in front of the disk is full: nothing was written, the caller may try again later (503).</summary>
public sealed class StoreOverloadedException(string message) : Frusta.Contracts.Messages.RecordRefusedException(message);

/// <summary>The disk has no room for a write: nothing was written, the caller may try again later (503).</summary>
public sealed class StoreFullException(string message, Exception inner) : IOException(message, inner);
