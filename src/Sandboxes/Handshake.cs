using System.Text;
using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes;

/// <summary>Waits for the hello of a started process.</summary>
internal static class Handshake
{
    // Bytes of a failed program's standard error that are shown; more would only bury its first line.
    private const int LongestComplaint = 4096;

    /// <summary>Waits until the process writes its hello to its channel, at most as long as the option allows. The hello stays in the pipe.</summary>
    /// <exception cref="SandboxStartException">The process ended first, or did not write in time; the text has the beginning of its standard error.</exception>
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

            // The process ended, or closed its channel. A process that closed its channel is expected to end, until the time is over.
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
