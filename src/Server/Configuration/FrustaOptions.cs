using Frusta.Bus;
using Frusta.Contracts.Limits;
using Frusta.Controller;
using Frusta.Invoker;
using Frusta.Runtimes;
using Frusta.Sandboxes;
using Frusta.Server.Standalone;
using Frusta.Store;
using Microsoft.Extensions.Configuration;

namespace Frusta.Server.Configuration;

/// <summary>All options of all rooms, read from file, environment and flags, each checked before anything starts.</summary>
public sealed class FrustaOptions
{
    private const string EnvironmentPrefix = "FRUSTA_";
    private const string DefaultFile = "frusta.json";

    public ServerOptions Server { get; } = new();

    public LimitsOptions Limits { get; } = new();

    public ControllerOptions Controller { get; } = new();

    public BusOptions Bus { get; } = new();

    public InvokerOptions Invoker { get; } = new();

    public SandboxesOptions Sandboxes { get; } = new();

    public RuntimesOptions Runtimes { get; } = new();

    public StoreOptions Store { get; } = new();

    /// <summary>Further identities: name to <c>UUID:KEY</c>. Secret.</summary>
    public Dictionary<string, string> Subjects { get; } = new(StringComparer.Ordinal);

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

    /// <exception cref="StartRefusedException">A file that cannot be read, an unknown option, or a value out of its bounds; the message names it.</exception>
    public static FrustaOptions Load(CommandLine commandLine)
    {
        var configuration = Gather(commandLine);
        var options = new FrustaOptions();
        options.RefuseUnknownSections(configuration);
        try
        {
            options.Bind(configuration);
        }
        catch (InvalidOperationException exception)
        {
            throw new StartRefusedException(Explain(exception));
        }

        var broken = options.Rules().FirstOrDefault(rule => rule is not null);
        return broken is null ? options : throw new StartRefusedException(broken);
    }

    private static IConfigurationRoot Gather(CommandLine commandLine)
    {
        var builder = new ConfigurationBuilder().SetBasePath(Directory.GetCurrentDirectory());
        try
        {
            if (commandLine.ConfigFile is { } file)
            {
                builder.AddJsonFile(Path.GetFullPath(file), optional: false);
            }
            else
            {
                builder.AddJsonFile(DefaultFile, optional: true);
            }

            return builder.AddEnvironmentVariables(EnvironmentPrefix).AddInMemoryCollection(commandLine.Values).Build();
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException)
        {
            var cause = exception.InnerException?.Message;
            throw new StartRefusedException($"The configuration file cannot be read: {exception.Message} {cause}".TrimEnd());
        }
    }

    private void Bind(IConfigurationRoot configuration)
    {
        configuration.GetSection(ServerOptions.Section).Bind(Server, static binder => binder.ErrorOnUnknownConfiguration = true);
        configuration.GetSection(LimitsOptions.Section).Bind(Limits, static binder => binder.ErrorOnUnknownConfiguration = true);
        configuration.GetSection(ControllerOptions.Section).Bind(Controller, static binder => binder.ErrorOnUnknownConfiguration = true);
        configuration.GetSection(BusOptions.Section).Bind(Bus, static binder => binder.ErrorOnUnknownConfiguration = true);
        configuration.GetSection(InvokerOptions.Section).Bind(Invoker, static binder => binder.ErrorOnUnknownConfiguration = true);
        configuration.GetSection(SandboxesOptions.Section).Bind(Sandboxes, static binder => binder.ErrorOnUnknownConfiguration = true);
        configuration.GetSection(RuntimesOptions.Section).Bind(Runtimes, static binder => binder.ErrorOnUnknownConfiguration = true);
        configuration.GetSection(StoreOptions.Section).Bind(Store, static binder => binder.ErrorOnUnknownConfiguration = true);
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
                    $"'{section.Key}' is no section of options. The sections are {string.Join(", ", known)}; docs/reference/options.md has them all.");
            }
        }
    }

    /// <summary>The binder says which property it does not know, in words for programmers; this says it in words for operators.</summary>
    private static string Explain(InvalidOperationException exception)
    {
        const string unknownOf = "were not found on the instance of ";
        var at = exception.Message.IndexOf(unknownOf, StringComparison.Ordinal);
        if (at < 0)
        {
            return $"{exception.Message} See docs/reference/options.md.";
        }

        var (type, names) = exception.Message[(at + unknownOf.Length)..].Split(": ", 2) is [var left, var right] ? (left, right) : ("", "");
        var section = type[(type.LastIndexOf('.') + 1)..].Replace("Options", "", StringComparison.Ordinal);
        return $"Section {section} has no option {names}. docs/reference/options.md has them all.";
    }
}
