using System.Text;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes;

/// <summary>The wait from a started process to its hello.</summary>
internal static class Handshake
{
    // What a program says before it gives up; more of it would only bury the first line.
    private const int LongestComplaint = 4096;

    /// <summary>Waits until the process writes to its channel, and not longer than the option allows. What it writes stays in the pipe.</summary>
    /// <exception cref="SandboxStartException">It ended first, or did not write in time; the text carries what it wrote to standard error.</exception>
    internal static async Task AwaitHelloAsync(
        Spawner spawner, SpawnedProcess process, SandboxChannel channel, SandboxesOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.StartTimeoutMs), time);
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            await await Task.WhenAny(spawner.AwaitReadableAsync(channel.Answers, giveUp.Token), process.Exited);
            if (OutputPipe.Count(channel.Answers) > 0)
            {
                return;
            }

            // Its end came first, or that of its channel, which its own end follows unless it goes on without one.
            var code = await process.Exited.WaitAsync(giveUp.Token);
            throw new SandboxStartException($"It ended with exit code {code} before it said hello. {Complaint(process)}");
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new SandboxStartException($"It did not say hello within {options.StartTimeoutMs} ms. {Complaint(process)}");
        }
        finally
        {
            await giveUp.CancelAsync();
        }
    }

    private static string Complaint(SpawnedProcess process)
    {
        var bytes = new byte[LongestComplaint];
        var length = OutputPipe.Read(process.StandardError, bytes);
        return length <= 0 ? "" : "It wrote: " + Encoding.UTF8.GetString(bytes, 0, length).Trim();
    }
}
