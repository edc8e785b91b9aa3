using System.CommandLine;

namespace Frusta.Server.Configuration;

/// <summary>The command line: a few short flags, and any option of docs/reference/options.md by its full name.</summary>
/// <param name="ConfigFile">File named by <c>--config</c>, or null for <c>frusta.json</c> where there is one.</param>
/// <param name="Values">The options that were given: keys (<c>Section:Key</c>) and values.</param>
public sealed record CommandLine(string? ConfigFile, IReadOnlyDictionary<string, string?> Values)
{
    private static readonly Argument<string[]> Settings = new("--Section:Key=VALUE")
    {
        Arity = ArgumentArity.ZeroOrMore,
        Description = "Any option of docs/reference/options.md",
    };

    private static readonly Option<string?> Port = new("--port") { Description = "TCP port of the API; 0 takes a free one (default 3233)", HelpName = "PORT" };
    private static readonly Option<string?> Host = new("--host") { Description = "Address to listen on (default 127.0.0.1)", HelpName = "ADDRESS" };
    private static readonly Option<string?> DataDir = new("--data-dir") { Description = "Folder of everything that survives a restart (default ./.frusta)", HelpName = "FOLDER" };
    private static readonly Option<string?> Config = new("--config") { Description = "Configuration file (default frusta.json, where there is one)", HelpName = "FILE" };

    /// <summary>Reads the arguments. Answers <c>--help</c>, <c>--version</c> and mistakes itself.</summary>
    /// <param name="arguments">The arguments without the program's name.</param>
    /// <param name="output">Takes help and version.</param>
    /// <param name="errors">Takes messages on mistakes.</param>
    /// <param name="exitCode">The process' exit code when null is returned: 0, or 2 for a mistake.</param>
    /// <returns>The command line; null when it was answered and the process is to exit.</returns>
    public static CommandLine? Parse(string[] arguments, TextWriter output, TextWriter errors, out int exitCode)
    {
        var root = Describe();
        var parsed = root.Parse(arguments);
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        if (parsed.Errors.Count == 0 && parsed.Action is not NotAsked)
        {
            exitCode = parsed.Invoke(new InvocationConfiguration { Output = output, Error = errors });
            return null;
        }

        var problem = parsed.Errors.Count > 0 ? parsed.Errors[0].Message : ReadTableOptions(parsed.GetValue(Settings) ?? [], values);
        if (problem is not null)
        {
            errors.WriteLine($"frusta: {problem}");
            errors.WriteLine("Try 'frusta --help'.");
            exitCode = 2;
            return null;
        }

        exitCode = 0;
        Set(values, "Server:Port", parsed.GetValue(Port));
        Set(values, "Server:Host", parsed.GetValue(Host));
        Set(values, "Server:DataDir", parsed.GetValue(DataDir));
        return new CommandLine(parsed.GetValue(Config), values);
    }

    private static RootCommand Describe()
    {
        var standalone = new Command("standalone", "Runs everything in this one process (the default)") { Port, Host, DataDir, Config, new VersionOption(), Settings };
        standalone.Action = new NotAsked();
        var root = new RootCommand(
            "Frusta: OpenWhisk's serverless platform in one process.\n\n"
            + "Any option of docs/reference/options.md may be given as --Section:Key=VALUE, as environment variable\n"
            + "FRUSTA_Section__Key=VALUE, or in the configuration file as {\"Section\":{\"Key\":VALUE}}. A flag wins over\n"
            + "the environment, and the environment over the file. Secrets, such as subjects, come from file or environment only.")
        {
            standalone,
            Settings,
        };
        foreach (var option in (Option[])[Port, Host, DataDir, Config])
        {
            root.Options.Add(option);
        }

        root.Action = new NotAsked();
        return root;
    }

    private static string? ReadTableOptions(IReadOnlyList<string> tokens, Dictionary<string, string?> values)
    {
        foreach (var token in tokens)
        {
            // The message on a refused token repeats only its name, since its value may be a secret.
            var equals = token.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? token : token[..equals];
            var key = name.TrimStart('-');
            if (Secrets.IsSecret(key.Replace("__", ":", StringComparison.Ordinal)))
            {
                return $"'{name}' would show a secret in the list of processes. Set {key} in the configuration file (frusta.json), "
                    + $"or as environment variable {FrustaOptions.EnvironmentPrefix}{key.Replace(":", "__", StringComparison.Ordinal)}.";
            }

            if (!token.StartsWith("--", StringComparison.Ordinal) || equals < 0 || !key.Contains(':', StringComparison.Ordinal))
            {
                return $"'{name}' is neither a command nor an option of the form --Section:Key=VALUE.";
            }

            values[key] = token[(equals + 1)..];
        }

        return null;
    }

    private static void Set(Dictionary<string, string?> values, string key, string? value)
    {
        if (value is not null)
        {
            values[key] = value;
        }
    }

    /// <summary>Marks a command line that asks for the server itself rather than for help or the version.</summary>
    private sealed class NotAsked : System.CommandLine.Invocation.SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult) => 0;
    }
}
