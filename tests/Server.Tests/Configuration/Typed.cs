using Frusta.Server.Configuration;

namespace Frusta.Server.Tests.Configuration;

/// <summary>A command line as the program reads it, without a process for it.</summary>
internal static class Typed
{
    /// <summary>The options that a server with these flags has.</summary>
    /// <exception cref="StartRefusedException">One of them is refused.</exception>
    public static FrustaOptions Options(params string[] flags)
    {
        using var errors = new StringWriter();
        var commandLine = CommandLine.Parse(["standalone", .. flags], TextWriter.Null, errors, out _);
        Assert.True(commandLine is not null, errors.ToString());
        return FrustaOptions.Load(commandLine);
    }

    /// <summary>The words, on whichever way a server with these flags is refused, and the exit code if it is refused as a command line.</summary>
    public static (int? ExitCode, string Words) Refused(params string[] flags)
    {
        using var errors = new StringWriter();
        var commandLine = CommandLine.Parse(["standalone", .. flags], TextWriter.Null, errors, out var exitCode);
        return commandLine is null
            ? (exitCode, errors.ToString())
            : (null, Assert.Throws<StartRefusedException>(() => FrustaOptions.Load(commandLine)).Message);
    }
}
