using System.Net;
using Frusta.Sandboxes.Bubblewrap;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Plain;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes.Makers;

/// <summary>Chooses the maker of sandboxes on this host.</summary>
public static class SandboxMakers
{
    /// <summary>Cleans up after killed servers, then makes the maker that the options name, or with <c>auto</c> the one that isolates best.</summary>
    /// <returns>
    /// The maker, and the endpoint on which the server must listen for calls of functions to the platform (null: functions have no network of their own).
    /// </returns>
    /// <exception cref="InvalidOperationException">
    /// This host cannot do what the options demand, or a file of ours cannot be used; the message says which and what to do.
    /// </exception>
    public static async Task<(ISandboxMaker Maker, IPEndPoint? ApiEndpoint)> CreateAsync(
        SandboxesOptions options, TimeProvider time, ILoggerFactory logs, CancellationToken cancellationToken)
    {
        try
        {
            return await ChooseAsync(options, time, logs, cancellationToken);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new InvalidOperationException(
                $"Sandboxes cannot be prepared: {refused.Message} Their files are in the run folder '{InstanceFolder.RunFolder(options)}'; "
                + $"name another one with {SandboxesOptions.Section}:{nameof(options.RunFolder)} where that one cannot be used.",
                refused);
        }
    }

    private static async Task<(ISandboxMaker Maker, IPEndPoint? ApiEndpoint)> ChooseAsync(
        SandboxesOptions options, TimeProvider time, ILoggerFactory logs, CancellationToken cancellationToken)
    {
        await SandboxLeftovers.CleanAsync(options, time, logs.CreateLogger(typeof(SandboxLeftovers)), cancellationToken);
        if (options.Driver is not SandboxesOptions.ProcessDriver)
        {
            var (maker, reason) = await BubblewrapSandboxMaker.TryCreateAsync(options, time, logs.CreateLogger<BubblewrapSandboxMaker>(), cancellationToken);
            if (maker is not null)
            {
                return (maker, maker.ApiEndpoint);
            }

            if (options.Driver is SandboxesOptions.BubblewrapDriver)
            {
                throw new InvalidOperationException($"{SandboxesOptions.Section}:{nameof(options.Driver)} is {options.Driver}, but {reason}");
            }
        }

        return (new ProcessSandboxMaker(options, time, logs.CreateLogger<ProcessSandboxMaker>()), null);
    }
}
