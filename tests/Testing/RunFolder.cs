using Frusta.Sandboxes;

namespace Frusta.Testing;

/// <summary>
/// Options with a run folder and users of the test's own: makers that share no run folder do not see which users the others gave away, and the
/// kernel counts the tasks of a user, whichever test program it belongs to.
/// </summary>
public sealed class RunFolder : IDisposable
{
    private const int MostFoldersOfAProgram = 64;

    // Bubblewrap takes no user id of 2^31 or more.
    private const int Ranges = 210_000;
    private const uint FirstRange = 1_000_000;

    private static int _made;

    public RunFolder()
    {
        var options = new SandboxesOptions();
        var range = (((long)Environment.ProcessId * MostFoldersOfAProgram) + Interlocked.Increment(ref _made)) % Ranges;
        Options = new SandboxesOptions
        {
            FirstUserId = FirstRange + ((uint)range * (uint)options.UserIds),
            RunFolder = $"/tmp/frusta-test-{Guid.NewGuid().ToString("N")[..8]}",
        };
    }

    public SandboxesOptions Options { get; }

    public void Dispose()
    {
        if (Directory.Exists(Options.RunFolder))
        {
            Directory.Delete(Options.RunFolder, recursive: true);
        }
    }
}
