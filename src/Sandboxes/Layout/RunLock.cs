using System.Globalization;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Layout;

/// <summary>A lock of a file, so that one instance at a time cleans up or claims ranges. The kernel frees it when its holder dies.</summary>
internal static class RunLock
{
    // The exception's number when another process has the lock: EWOULDBLOCK.
    private const int HeldByAnother = 11;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <exception cref="InvalidOperationException">The lock cannot be had; the message says which file, who has it and what to do.</exception>
    internal static Task<IDisposable> TakeAsync(SandboxesOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var run = InstanceFolder.RunFolder(options);
        Directory.CreateDirectory(run);
        return TakeFileAsync(Path.Combine(run, "lock"), $", or give this one a run folder of its own with {SandboxesOptions.Section}:{nameof(options.RunFolder)}", time, cancellationToken);
    }

    /// <exception cref="InvalidOperationException">The lock cannot be had; the message says which file, who has it and what to do.</exception>
    internal static Task<IDisposable> TakeFileAsync(string path, TimeProvider time, CancellationToken cancellationToken) => TakeFileAsync(path, "", time, cancellationToken);

    private static async Task<IDisposable> TakeFileAsync(string path, string otherWay, TimeProvider time, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException held) when (held.HResult == HeldByAnother)
            {
                if (time.GetElapsedTime(began) >= Patience)
                {
                    throw new InvalidOperationException(
                        $"The file '{path}' has been locked for {Patience.TotalSeconds:0} seconds by {Holder(path)}. A server holds this lock only for a moment, while it starts or ends. "
                        + $"If that process hangs, end it and start again{otherWay}.",
                        held);
                }

                await Task.Delay(TimeSpan.FromMilliseconds(10), time, cancellationToken);
            }
            catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
            {
                throw new InvalidOperationException($"The lock file '{path}' cannot be opened: {refused.Message} Make it a file that this user may write, and start again{otherWay}.", refused);
            }
        }
    }

    private static string Holder(string path) => FileLocks.HolderOf(path) is { } pid
        ? string.Create(CultureInfo.InvariantCulture, $"process {pid} ({ProcessTable.NameOf(pid) ?? "which has ended"})")
        : "another process, which cannot be seen from here";
}
