using Frusta.Runtimes.Frames;
using Frusta.Sandboxes;

namespace Frusta.Runtimes.Families;

/// <summary>A language that actions are written in: its kinds, the interpreter on this host that runs them, and the needs of its processes.</summary>
/// <remarks>Each has a file of its own, and a place in <see cref="RuntimeFamilies.All"/> (docs/howto/add-a-language.md).</remarks>
public abstract class RuntimeFamily
{
    private protected RuntimeFamily()
    {
    }

    /// <summary>The first part of its kinds, such as <c>nodejs</c>.</summary>
    public abstract string Name { get; }

    /// <summary>The name of the language on the start screen.</summary>
    public abstract string Title { get; }

    /// <summary>Its kinds, such as <c>nodejs:20</c>: those of OpenWhisk's manifest that the interpreter can run.</summary>
    public abstract IReadOnlyList<string> Kinds { get; }

    /// <summary>Stem cells that are kept ready unless an option says otherwise.</summary>
    public abstract int StemCells { get; }

    /// <summary>True when a process learns its amount of memory only at its start, so that it cannot follow another limit later.</summary>
    internal virtual bool IsForItsMemoryOnly => false;

    /// <summary>See <see cref="SandboxSpec.AddressSpaceMayBeLimited"/>.</summary>
    internal abstract bool AddressSpaceMayBeLimited { get; }

    /// <summary>The answers when a process ends in the middle of an exchange.</summary>
    internal abstract WordsOfEnd WordsOfEnd { get; }

    /// <summary>Path of the runner in the folder with the runners, such as <c>nodejs/runner.js</c>.</summary>
    internal abstract string Runner { get; }

    /// <summary>The oldest interpreter that will do.</summary>
    internal abstract Version LeastVersion { get; }

    /// <summary>Flags that the interpreter is started with, and must know.</summary>
    internal virtual IReadOnlyList<string> Flags => [];

    /// <summary>Flags that tell the interpreter how much memory there is.</summary>
    internal virtual IReadOnlyList<string> MemoryFlags(int memoryMb) => [];

    /// <summary>Path of the interpreter.</summary>
    internal abstract string ProgramOf(RuntimesOptions options);

    /// <summary>Looks for the interpreter. Where there is none, the text says why the family cannot run here, as part of a sentence.</summary>
    internal async Task<(Interpreter? Found, string Reason)> ProbeAsync(RuntimeHost host, TimeProvider clock, CancellationToken cancellationToken)
    {
        var runner = Path.Combine(host.RunnersFolder, Runner);
        return File.Exists(runner)
            ? await Interpreter.ProbeAsync(ProgramOf(host.Options), LeastVersion, Flags, clock, cancellationToken)
            : (null, $"the runner {runner} does not exist");
    }

    /// <summary>How a kind is started on this host.</summary>
    internal RuntimeRecipe ToRecipe(string kind, Interpreter interpreter, RuntimeHost host)
    {
        var runner = Path.Combine(host.RunnersFolder, Runner);
        return new RuntimeRecipe(
            kind, this, interpreter.Path, [.. Flags, runner, host.MaxResultText], EnvironmentOf(interpreter, host), MountsOf(interpreter, Path.GetDirectoryName(runner)!, host));
    }

    /// <summary>Text that follows the kinds on the start screen; empty for none.</summary>
    internal virtual string Remark(RuntimeHost host) => "";

    /// <summary>Adds this language's variables to those that every language has.</summary>
    private protected virtual void AddVariables(Dictionary<string, string> environment, Interpreter interpreter, RuntimeHost host)
    {
    }

    /// <summary>A folder with packages that every action finds; null when there is none.</summary>
    private protected virtual string? PackagesFolder(RuntimeHost host) => null;

    private Dictionary<string, string> EnvironmentOf(Interpreter interpreter, RuntimeHost host)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["__OW_API_HOST"] = host.ApiHost,
            ["HOME"] = "/tmp",
            ["PATH"] = "/usr/local/bin:/usr/bin:/bin",
            ["TZ"] = "UTC",
        };
        AddVariables(environment, interpreter, host);
        return environment;
    }

    private List<SandboxMount> MountsOf(Interpreter interpreter, string runner, RuntimeHost host)
    {
        List<SandboxMount> mounts = [new(runner, runner)];
        if (interpreter.Prefix is { } prefix)
        {
            mounts.Add(new(prefix, prefix));
        }

        if (PackagesFolder(host) is { } packages && !packages.StartsWith(runner + "/", StringComparison.Ordinal))
        {
            mounts.Add(new(packages, packages));
        }

        return mounts;
    }
}
