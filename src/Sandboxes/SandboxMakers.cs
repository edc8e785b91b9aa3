using System.Net;
using Frusta.Sandboxes.Bubblewrap;
using Frusta.Sandboxes.Layout;
using Frusta.Sandboxes.Plain;
using Microsoft.Extensions.Logging;

namespace Frusta.Sandboxes;

/// <summary>Chooses how sandboxes are made on this host.</summary>
public static class SandboxMakers
{
    /// <summary>Cleans up after killed servers, then makes the maker that the options name or, left to choose, the one that isolates best.</summary>
    /// <returns>The maker, and where the server must listen for calls of functions to the platform (null: functions have no network of their own).</returns>
    /// <exception cref="InvalidOperationException">The options demand what this host cannot do.</exception>
    public static async Task<(ISandboxMaker Maker, IPEndPoint? ApiEndpoint)> CreateAsync(
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
