namespace Frusta.Sandboxes;

/// <summary>Where the program in a sandbox is spoken to. Each sort of endpoint is a type of its own, for which Runtimes has a client.</summary>
public abstract class SandboxEndpoint;
