namespace Frusta.Sandboxes.Tests;

/// <summary>Options with a run folder of the test's own.</summary>
internal sealed class RunFolder : IDisposable
{
    internal RunFolder()
    {
        Options = new SandboxesOptions { RunFolder = $"/tmp/frusta-test-{Guid.NewGuid().ToString("N")[..8]}" };
    }

    internal SandboxesOptions Options { get; }

    public void Dispose()
    {
        if (Directory.Exists(Options.RunFolder))
        {
            Directory.Delete(Options.RunFolder, recursive: true);
        }
    }
}
