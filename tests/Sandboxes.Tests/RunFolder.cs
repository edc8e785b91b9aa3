namespace Frusta.Sandboxes.Tests;

/// <summary>Options with a run folder and users of the test's own: makers that share no run folder do not see which users the others gave away, and the kernel counts the tasks of a user.</summary>
internal sealed class RunFolder : IDisposable
{
    private static int _made;

    internal RunFolder()
    {
        var options = new SandboxesOptions();
        var first = options.FirstUserId + ((uint)Interlocked.Increment(ref _made) * (uint)options.UserIds);
        Options = new SandboxesOptions { FirstUserId = first, RunFolder = $"/tmp/frusta-test-{Guid.NewGuid().ToString("N")[..8]}" };
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
