namespace Frusta.Sandboxes.Layout;

/// <summary>One instance on this host at a time cleans up or claims ranges. The kernel frees it when its holder dies.</summary>
internal static class RunLock
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    internal static Task<IDisposable> TakeAsync(SandboxesOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var run = InstanceFolder.RunFolder(options);
        Directory.CreateDirectory(run);
        return TakeFileAsync(Path.Combine(run, "lock"), time, cancellationToken);
    }

    internal static async Task<IDisposable> TakeFileAsync(string path, TimeProvider time, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (time.GetElapsedTime(began) < Patience)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(10), time, cancellationToken);
            }
        }
    }
}
