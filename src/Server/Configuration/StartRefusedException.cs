namespace Frusta.Server.Configuration;

/// <summary>The server cannot start; the message says why and what to do. It is shown without a stack trace.</summary>
public sealed class StartRefusedException(string message) : Exception(message);
