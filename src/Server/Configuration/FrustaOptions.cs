using Frusta.Bus;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Options;
using Frusta.Controller;
using Frusta.Invoker;
using Frusta.Runtimes.Families;
using Frusta.Sandboxes;
using Frusta.Store;
using Microsoft.Extensions.Configuration;

namespace Frusta.Server.Configuration;

/// <summary>All options of all rooms, read from file, environment and flags, each checked before anything starts.</summary>
public sealed class FrustaOptions
{
    internal const string EnvironmentPrefix = "FRUSTA_";
    private const string DefaultFile = "frusta.json";

    public ServerOptions Server { get; } = new();

    public LimitsOptions Limits { get; } = new();

    public ControllerOptions Controller { get; } = new();

    public BusOptions Bus { get; } = new();

    public InvokerOptions Invoker { get; } = new();

    public SandboxesOptions Sandboxes { get; } = new();

    public RuntimesOptions Runtimes { get; } = new();

    public StoreOptions Store { get; } = new();

    /// <summary>Further identities: name to <c>UUID:KEY</c>.</summary>
    [Secret]
    public Dictionary<string, string> Subjects { get; } = new(StringComparer.Ordinal);

    /// <summary>A warning to the operator about the configuration file; null when there is none.</summary>
    public string? Warning { get; private set; }

    /// <summary>The sections in the order of the table of options.</summary>
    public IReadOnlyList<(string Name, object Options)> Sections =>
    [
        (ServerOptions.Section, Server),
        (LimitsOptions.Section, Limits),
        (ControllerOptions.Section, Controller),
        (BusOptions.Section, Bus),
        (InvokerOptions.Section, Invoker),
        (SandboxesOptions.Section, Sandboxes),
        (RuntimesOptions.Section, Runtimes),
        (StoreOptions.Section, Store),
    ];

    /// <summary>Reads and checks all options, and removes those that are secrets from this process' environment.</summary>
    /// <exception cref="StartRefusedException">A file that cannot be read, an unknown option, or a value out of its bounds; the message names it.</exception>
    public static FrustaOptions Load(CommandLine commandLine)
    {
        var configuration = Gather(commandLine);
        var options = new FrustaOptions();
        options.RefuseUnknownSections(configuration);
        options.Read(configuration);
        Secrets.ForgetVariables(EnvironmentPrefix);
        options.Warning = FileOf(commandLine) is { } file ? Secrets.Exposed(file) : null;
        var broken = options.Rules().FirstOrDefault(rule => rule is not null);
        return broken is null ? options : throw new StartRefusedException(broken);
    }

    /// <summary>The sentence on the rule that is broken when one option has this value and all others have their defaults; null when none is broken.</summary>
    internal static string? Broken(string key, string value)
    {
        var options = new FrustaOptions();
        options.Read(new ConfigurationBuilder().AddInMemoryCollection([new(key, value)]).Build());
        return options.Rules().FirstOrDefault(rule => rule is not null);
    }

    private static IConfigurationRoot Gather(CommandLine commandLine)
    {
        var builder = new ConfigurationBuilder();
        try
        {
            if (FileOf(commandLine) is { } file)
            {
                builder.AddJsonFile(file, optional: false);
            }

            return builder.AddEnvironmentVariables(EnvironmentPrefix).AddInMemoryCollection(commandLine.Values).Build();
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            var cause = exception.InnerException?.Message;
            throw new StartRefusedException($"The configuration file cannot be read: {exception.Message} {cause}".TrimEnd());
        }
    }

    private static string? FileOf(CommandLine commandLine) =>
        commandLine.ConfigFile is { } file ? ExistingFile(file)
        : File.Exists(DefaultFile) ? Path.GetFullPath(DefaultFile)
        : null;

    private static string ExistingFile(string path)
    {
        var full = Path.GetFullPath(path);
        return File.Exists(full)
            ? full
            : throw new StartRefusedException($"The configuration file '{full}' {(Directory.Exists(full) ? "is a folder" : "does not exist")}. Name a file with --config.");
    }

    private void Read(IConfigurationRoot configuration)
    {
        var reader = new OptionReader(configuration);
        foreach (var (name, options) in Sections)
        {
            reader.Read(name, options);
        }

        foreach (var subject in configuration.GetSection(nameof(Subjects)).GetChildren())
        {
            Subjects[subject.Key] = subject.Value
                ?? throw new StartRefusedException($"Subjects:{subject.Key} must be UUID:KEY in one string.");
        }
    }

    private IEnumerable<string?> Rules()
    {
        yield return Server.Validate();
        yield return Limits.Validate();
        yield return Controller.Validate();
        yield return Bus.Validate();
        yield return Invoker.Validate();
        yield return Sandboxes.Validate();
        yield return Runtimes.Validate();
        yield return Store.Validate();
    }

    private void RefuseUnknownSections(IConfigurationRoot configuration)
    {
        string[] known = [.. Sections.Select(section => section.Name.Split(':')[0]).Distinct(StringComparer.Ordinal), nameof(Subjects)];
        foreach (var section in configuration.GetChildren())
        {
            if (!known.Contains(section.Key, StringComparer.OrdinalIgnoreCase))
            {
                throw new StartRefusedException(
                    $"'{section.Key}' is not a section of options. The sections are {string.Join(", ", known)}; docs/reference/options.md lists their options.");
            }
        }
    }
}
