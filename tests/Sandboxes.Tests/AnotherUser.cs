using System.Diagnostics;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests;

/// <summary>Does things as a user with no rights, which takes root; elsewhere the test is skipped.</summary>
internal static class AnotherUser
{
    private const uint Id = 61234;

    internal static void Require() => Assert.SkipUnless(Libc.EffectiveUser() == 0, "root is needed for other users.");

    internal static void Own(string path)
    {
        Require();
        using var chown = Process.Start("/bin/chown", [$"{Id}:{Id}", path]);
        chown.WaitForExit();
        Assert.Equal(0, chown.ExitCode);
    }

    /// <summary>In the kernel the user belongs to a thread, so it is changed on one that ends.</summary>
    internal static async Task DoAsync(Action action)
    {
        Require();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                Assert.True(Libc.TrySwitchThread(Id));
                action();
                done.SetResult();
            }
            catch (Exception exception)
            {
                done.SetException(exception);
            }
            finally
            {
                Libc.TrySwitchThreadBack();
            }
        }).Start();
        await done.Task;
    }
}
