using Frusta.Journal;
using Frusta.Server.Configuration;
using Frusta.Server.Roles;

// How to read Frusta: this file reads the command line, Roles/StandaloneServer wires the rooms in the order in which an
// invocation visits them, and from there Controller/Invocation/InvokeAction and Invoker/Run/RunActivation tell the trip.

var commandLine = CommandLine.Parse(args, Console.Out, Console.Error, out var exitCode);
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
