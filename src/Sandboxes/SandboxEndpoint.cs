namespace Frusta.Sandboxes;

/// <summary>The way to the program in a sandbox. Each sort of endpoint is a type of its own, for which Runtimes has a client.</summary>
public abstract class SandboxEndpoint;
