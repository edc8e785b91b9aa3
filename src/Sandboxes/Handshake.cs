using System.Net.Sockets;
using System.Text;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes;

/// <summary>The wait from a started process to its connection.</summary>
internal static class Handshake
{
    // What a program says before it gives up; more of it would only bury the first line.
    private const int LongestComplaint = 4096;

    /// <summary>Waits until the process connects, and not longer than the option allows.</summary>
    /// <exception cref="SandboxStartException">It ended first, or did not connect in time; the text carries what it wrote to standard error.</exception>
    internal static async Task<Socket> ConnectAsync(
        ChannelListener listener, SpawnedProcess process, uint user, SandboxesOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.StartTimeoutMs), time);
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        var accepting = listener.AcceptAsync(process.Pid, user, giveUp.Token);
        if (await Task.WhenAny(accepting, process.Exited) == process.Exited && !accepting.IsCompletedSuccessfully)
        {
            await giveUp.CancelAsync();
            await accepting.ContinueWith(static ended => ended.IsCompletedSuccessfully ? null : ended.Exception, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            throw new SandboxStartException($"It ended with exit code {await process.Exited} before it connected. {Complaint(process)}");
        }

        try
        {
            return await accepting;
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new SandboxStartException($"It did not connect within {options.StartTimeoutMs} ms. {Complaint(process)}");
        }
    }

    private static string Complaint(SpawnedProcess process)
    {
        var bytes = new byte[LongestComplaint];
        var length = OutputPipe.Read(process.StandardError, bytes);
        return length <= 0 ? "" : "It wrote: " + Encoding.UTF8.GetString(bytes, 0, length).Trim();
    }
}
