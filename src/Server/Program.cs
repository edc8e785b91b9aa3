using System.Globalization;
using Frusta.Journal;
using Frusta.Server.Configuration;
using Frusta.Server.Standalone;

// How to read Frusta: this file names what is asked, Standalone/StandaloneServer wires the rooms in the order in which an
// invocation visits them, and from there Controller/Invocation/InvokeAction and Invoker/Run/RunActivation tell the trip.

// A completed socket operation goes on where it was noticed: a warm call then changes threads nowhere in this process. .NET reads
// this from the environment alone, before the first socket (docs/decisions/0002-inline-sockets.md).
// Half of the cores do that: the others belong to the sandboxes, and one thread that finds several sockets ready sleeps less often.
Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
Environment.SetEnvironmentVariable(
    "DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT", Math.Max(1, Environment.ProcessorCount / 2).ToString(CultureInfo.InvariantCulture));
var commandLine = CommandLine.Parse(args, out var exitCode);
if (commandLine is null)
{
    return exitCode;
}

try
{
    return await StandaloneServer.RunAsync(FrustaOptions.Load(commandLine));
}
catch (Exception refused) when (refused is StartRefusedException or LogDamagedException)
{
    await Console.Error.WriteLineAsync($"frusta: {refused.Message}");
    return 1;
}
