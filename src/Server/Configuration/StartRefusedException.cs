namespace Frusta.Server.Configuration;

/// <summary>The server does not start, and the message says why and what to do. Shown without a stack trace.</summary>
public sealed class StartRefusedException(string message) : Exception(message);
