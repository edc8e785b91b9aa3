using System.Globalization;

namespace Frusta.Runtimes.Families;

/// <summary>The facts of this host that every language needs.</summary>
/// <param name="Options">Where interpreters are looked for.</param>
/// <param name="RunnersFolder">Folder with the runners, one folder a language.</param>
/// <param name="ApiHost">Value of <c>__OW_API_HOST</c>, such as <c>http://127.0.0.1:3233</c>.</param>
/// <param name="MaxResultBytes">Bytes of the largest result; runners truncate longer ones.</param>
internal sealed record RuntimeHost(RuntimesOptions Options, string RunnersFolder, string ApiHost, int MaxResultBytes)
{
    /// <summary>The bytes of the largest result, as the argument that a runner is started with.</summary>
    public string MaxResultText => MaxResultBytes.ToString(CultureInfo.InvariantCulture);

    /// <summary>Looks for the runners; null when there are none, so that no kind can run.</summary>
    public static RuntimeHost? Find(RuntimesOptions options, string apiHost, int maxResultBytes) =>
        FindRunners(options.RunnersFolder) is { } runners ? new RuntimeHost(options, runners, apiHost, maxResultBytes) : null;

    /// <summary>Looks beside the program, then in each folder above it: a development build lies inside the repository.</summary>
    public static string? LookAbove(Func<string, string?> look)
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

    private static string? FindRunners(string configured) => configured.Length > 0
        ? RuntimeFamilies.HasRunners(configured) ? Path.GetFullPath(configured) : null
        : LookAbove(static folder => Path.Combine(folder, "runtimes") is var runners && RuntimeFamilies.HasRunners(runners) ? runners : null);
}
