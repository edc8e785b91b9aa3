using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Frusta.Sandboxes;

namespace Frusta.Runtimes.Families;

/// <summary>Which kinds run on this host's own interpreters, found out once at the start.</summary>
public sealed class RuntimeCatalog
{
    private const string PythonRunner = "python/runner.py";
    private static readonly Version LeastNode = new(20, 0);
    private static readonly Version LeastPython = new(3, 10);

    /// <summary>
    /// Code may call <c>gc</c>, as in OpenWhisk's image. A small heap that allocates little is not made smaller still: it grows again with
    /// the next runs, a page fault for each page.
    /// </summary>
    private static readonly string[] NodeFlags = ["--expose-gc", "--no-memory-reducer-for-small-heaps"];

    private static readonly string[] NodeKinds = ["nodejs:18", "nodejs:20"];
    private static readonly string[] PythonKinds = ["python:3.10", "python:3.11"];

    private readonly Dictionary<string, RuntimeRecipe> _recipes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _reasons = new(StringComparer.Ordinal);

    private RuntimeCatalog()
    {
    }

    /// <summary>The kinds that run here, in the order of the manifest.</summary>
    public IReadOnlyCollection<RuntimeRecipe> Recipes => _recipes.Values;

    /// <summary>What the start screen says of the interpreters, one short sentence each.</summary>
    public IReadOnlyList<string> Report { get; private set; } = [];

    /// <summary>Looks for the interpreters and the runners.</summary>
    /// <param name="options">Where to look.</param>
    /// <param name="apiHost">Value of <c>__OW_API_HOST</c> in every sandbox, such as <c>http://127.0.0.1:3233</c>.</param>
    /// <param name="maxResultBytes">Bytes of the largest result; longer ones come truncated.</param>
    /// <param name="clock">For the bound on the probes.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    public static async Task<RuntimeCatalog> ProbeAsync(
        RuntimesOptions options, string apiHost, int maxResultBytes, TimeProvider clock, CancellationToken cancellationToken)
    {
        var catalog = new RuntimeCatalog();
        var runners = FindRunners(options.RunnersFolder);
        var limit = maxResultBytes.ToString(CultureInfo.InvariantCulture);
        var report = new List<string>();

        var nodePath = options.NodePath.Length > 0 ? options.NodePath : Interpreter.OnPath("node");
        var (node, noNode) = Usable(await Interpreter.ProbeAsync(nodePath, LeastNode, NodeFlags, clock, cancellationToken), runners);
        var modules = FindModules(options, runners);
        catalog.Add(NodeKinds, node, noNode, (kind, found) => new RuntimeRecipe(
            kind,
            RuntimeFamily.NodeJs,
            [found.Path, .. NodeFlags, "--max-old-space-size={heap}", Path.Combine(runners!, RuntimesOptions.NodeRunner), limit],
            NodeEnvironment(options, found, modules, apiHost),
            Mounts(found, Path.Combine(runners!, "nodejs"), modules),
            AddressSpaceMayBeLimited: false));
        report.Add(node is null
            ? $"Node.js actions cannot run: {noNode}."
            : $"Node.js {node.Version} runs {string.Join(" and ", NodeKinds)}{(modules is null ? "; the npm package openwhisk is not installed" : "")}.");

        var (python, noPython) = Usable(await Interpreter.ProbeAsync(options.PythonPath, LeastPython, [], clock, cancellationToken), runners);
        catalog.Add(PythonKinds, python, noPython, (kind, found) => new RuntimeRecipe(
            kind,
            RuntimeFamily.Python,
            [found.Path, Path.Combine(runners!, PythonRunner), limit],
            PythonEnvironment(apiHost),
            Mounts(found, Path.Combine(runners!, "python"), null),
            AddressSpaceMayBeLimited: true));
        report.Add(python is null
            ? $"Python actions cannot run: {noPython}."
            : $"Python {python.Version} runs {string.Join(" and ", PythonKinds)}.");
        catalog.Report = report;
        return catalog;
    }

    /// <summary>How the kind is started here; otherwise the words why it cannot be.</summary>
    public bool TryFind(string kind, [NotNullWhen(true)] out RuntimeRecipe? recipe, [NotNullWhen(false)] out string? reason)
    {
        reason = null;
        if (_recipes.TryGetValue(kind, out recipe))
        {
            return true;
        }

        reason = _reasons.TryGetValue(kind, out var known)
            ? $"The runtime '{kind}' cannot run on this host: {known}."
            : $"The runtime '{kind}' needs a container image, and this host has no engine to run it.";
        return false;
    }

    private void Add(string[] kinds, Interpreter? interpreter, string reason, Func<string, Interpreter, RuntimeRecipe> recipe)
    {
        foreach (var kind in kinds)
        {
            if (interpreter is null)
            {
                _reasons[kind] = reason;
            }
            else
            {
                _recipes[kind] = recipe(kind, interpreter);
            }
        }
    }

    /// <summary>An interpreter without the runners runs nothing, and nothing else is to be said of it.</summary>
    private static (Interpreter? Found, string Reason) Usable((Interpreter? Found, string Reason) probed, string? runners) =>
        runners is null ? (null, "the runners are missing") : probed;

    private static List<SandboxMount> Mounts(Interpreter interpreter, string runner, string? modules)
    {
        List<SandboxMount> mounts = [new(runner, runner)];
        if (interpreter.Prefix is { } prefix)
        {
            mounts.Add(new(prefix, prefix));
        }

        if (modules is not null && !modules.StartsWith(runner + "/", StringComparison.Ordinal))
        {
            mounts.Add(new(modules, modules));
        }

        return mounts;
    }

    /// <summary>Without TZ node walks the whole tree of time zones at its first date: 18 to 20 ms.</summary>
    private static Dictionary<string, string> NodeEnvironment(RuntimesOptions options, Interpreter node, string? modules, string apiHost)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["__OW_API_HOST"] = apiHost,
            ["HOME"] = "/tmp",
            ["PATH"] = $"/usr/local/bin:/usr/bin:/bin{(node.Prefix is null ? "" : $":{Path.GetDirectoryName(node.Path)}")}",
            ["TZ"] = "UTC",
        };
        if (!options.NpmInstallAtInit)
        {
            environment["OW_ENABLE_INIT_INSTALL"] = "false";
        }

        if (modules is not null)
        {
            environment["NODE_PATH"] = modules;
        }

        return environment;
    }

    private static Dictionary<string, string> PythonEnvironment(string apiHost) => new(StringComparer.Ordinal)
    {
        ["__OW_API_HOST"] = apiHost,
        ["HOME"] = "/tmp",
        ["PATH"] = "/usr/local/bin:/usr/bin:/bin",
        ["PYTHONIOENCODING"] = "UTF-8",
        ["TZ"] = "UTC",
    };

    private static string? FindRunners(string configured) => configured.Length > 0
        ? File.Exists(Path.Combine(configured, RuntimesOptions.NodeRunner)) ? Path.GetFullPath(configured) : null
        : Above(folder => File.Exists(Path.Combine(folder, "runtimes", RuntimesOptions.NodeRunner)) ? Path.Combine(folder, "runtimes") : null);

    private static string? FindModules(RuntimesOptions options, string? runners)
    {
        if (options.NodeModulesFolder.Length > 0)
        {
            return Directory.Exists(options.NodeModulesFolder) ? Path.GetFullPath(options.NodeModulesFolder) : null;
        }

        var beside = runners is null ? null : Path.Combine(runners, "nodejs", "node_modules");
        return Directory.Exists(beside)
            ? beside
            : Above(folder => Path.Combine(folder, "runtimes", "nodejs", "node_modules") is var modules && Directory.Exists(modules) ? modules : null);
    }

    /// <summary>Looks beside the program, then in each folder above it: the output folder lies in the repository.</summary>
    private static string? Above(Func<string, string?> look)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (look(folder.FullName) is { } found)
            {
                return found;
            }
        }

        return null;
    }
}
