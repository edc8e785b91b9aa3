using System.Diagnostics.CodeAnalysis;

namespace Frusta.Runtimes.Families;

/// <summary>The kinds that run on this host's own interpreters, looked for once at the start.</summary>
public sealed class RuntimeCatalog
{
    private readonly Dictionary<string, RuntimeRecipe> _recipes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _reasons = new(StringComparer.Ordinal);
    private readonly List<string> _report = [];

    private RuntimeCatalog()
    {
    }

    /// <summary>The kinds that run here, in the order of the manifest.</summary>
    public IReadOnlyCollection<RuntimeRecipe> Recipes => _recipes.Values;

    /// <summary>One short sentence on each family, for the start screen.</summary>
    public IReadOnlyList<string> Report => _report;

    /// <summary>Looks for the interpreters and the runners.</summary>
    /// <param name="options">Where to look.</param>
    /// <param name="apiHost">Value of <c>__OW_API_HOST</c> in every sandbox, such as <c>http://127.0.0.1:3233</c>.</param>
    /// <param name="maxResultBytes">Bytes of the largest result; runners truncate longer ones.</param>
    /// <param name="clock">Bounds each probe.</param>
    /// <param name="cancellationToken">Ends the search.</param>
    public static async Task<RuntimeCatalog> ProbeAsync(
        RuntimesOptions options, string apiHost, int maxResultBytes, TimeProvider clock, CancellationToken cancellationToken)
    {
        var catalog = new RuntimeCatalog();
        var host = RuntimeHost.Find(options, apiHost, maxResultBytes);
        foreach (var family in RuntimeFamilies.All)
        {
            var (interpreter, reason) = host is null ? (null, "the runners are missing") : await family.ProbeAsync(host, clock, cancellationToken);
            if (interpreter is null)
            {
                catalog.AddMissing(family, reason);
            }
            else
            {
                catalog.Add(family, interpreter, host!);
            }
        }

        return catalog;
    }

    /// <summary>Finds how the kind is started here; false with a sentence for users that says why it cannot be.</summary>
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

    private void Add(RuntimeFamily family, Interpreter interpreter, RuntimeHost host)
    {
        foreach (var kind in family.Kinds)
        {
            _recipes.Add(kind, family.ToRecipe(kind, interpreter, host));
        }

        _report.Add($"{family.Title} {interpreter.Version} runs {string.Join(" and ", family.Kinds)}{family.Remark(host)}.");
    }

    private void AddMissing(RuntimeFamily family, string reason)
    {
        foreach (var kind in family.Kinds)
        {
            _reasons.Add(kind, reason);
        }

        _report.Add($"{family.Title} actions cannot run: {reason}.");
    }
}
