using System.ComponentModel;
using System.Diagnostics;

namespace Frusta.Runtimes.Families;

/// <summary>A program on this host that runs code of one family.</summary>
/// <param name="Path">Absolute, links resolved.</param>
/// <param name="Version">The version that it prints.</param>
internal sealed record Interpreter(string Path, Version Version)
{
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(20);

    /// <summary>The folder that holds its program and its libraries, such as <c>/opt/node</c>; null when it belongs to the system.</summary>
    public string? Prefix
    {
        get
        {
            var prefix = System.IO.Path.GetDirectoryName(System.IO.Path.GetDirectoryName(Path)) ?? "/";
            return prefix is "/" or "/usr" || prefix.StartsWith("/usr/", StringComparison.Ordinal) ? null : prefix;
        }
    }

    /// <summary>Asks the program for its version. Where it cannot be used, the text says why, as part of a sentence.</summary>
    /// <param name="path">The program.</param>
    /// <param name="least">The oldest version that will do.</param>
    /// <param name="flags">Flags that it will be started with, and must know.</param>
    /// <param name="clock">Bounds the probe, to 20 s.</param>
    /// <param name="cancellationToken">Ends the probe.</param>
    public static async Task<(Interpreter? Found, string Reason)> ProbeAsync(
        string path, Version least, IReadOnlyList<string> flags, TimeProvider clock, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
        {
            return (null, $"{path} does not exist");
        }

        var full = new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? System.IO.Path.GetFullPath(path);
        try
        {
            using var timeout = new CancellationTokenSource(ProbeTimeout, clock);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
            using var process = Process.Start(new ProcessStartInfo(full, [.. flags, "--version"]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
            var said = await process.StandardOutput.ReadToEndAsync(both.Token);
            await process.WaitForExitAsync(both.Token);
            var digits = said.AsSpan(said.AsSpan().IndexOfAnyInRange('0', '9') is >= 0 and var at ? at : 0).Trim();
            if (!Version.TryParse(digits, out var version))
            {
                return (null, $"{string.Join(' ', [full, .. flags])} does not tell its version");
            }

            return version < least
                ? (null, $"{full} is of version {version}, and {least} or later is needed")
                : (new Interpreter(full, version), "");
        }
        catch (Exception exception) when (exception is Win32Exception or IOException)
        {
            return (null, $"{full} cannot be started: {exception.Message}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, $"{full} did not tell its version within {ProbeTimeout.TotalSeconds} s");
        }
    }

    /// <summary>The first program of this name on PATH, or the name itself in /usr/bin.</summary>
    public static string OnPath(string name)
    {
        foreach (var folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            var candidate = System.IO.Path.Combine(folder, name);
            if (File.Exists(candidate))
            {
                return candidate;
            }
        }

        return $"/usr/bin/{name}";
    }
}
