using System.Text;

namespace Frusta.Sandboxes.Processes;

/// <summary>Runs a tool of the system, such as <c>ip</c>, to its end.</summary>
internal static class Tool
{
    private static readonly string[] SystemFolders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

    /// <summary>Path of a tool, or null. The system's folders are searched too, because root's tools are often not on a service's path.</summary>
    internal static string? Find(string name)
    {
        if (name.StartsWith('/'))
        {
            return File.Exists(name) ? name : null;
        }

        string[] folders = [.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries), .. SystemFolders];
        return Array.Find(folders, folder => File.Exists(Path.Combine(folder, name))) is { } found ? Path.Combine(found, name) : null;
    }

    /// <summary>Runs a tool; gives its exit code and the beginning of its standard error. A missing tool gives 127.</summary>
    internal static async Task<(int ExitCode, string Error)> RunAsync(Spawner spawner, string name, IReadOnlyList<string> arguments, uint? user = null)
    {
        if (Find(name) is not { } program)
        {
            return (127, $"{name} is not installed.");
        }

        using var process = await spawner.StartAsync(new SpawnRequest { Program = program, Arguments = arguments, UserId = user });
        var code = await process.Exited;
        var buffer = new byte[4096];
        var length = Math.Max(0, OutputPipe.Read(process.StandardError, buffer));
        return (code, Encoding.UTF8.GetString(buffer, 0, length).Trim());
    }
}
