using System.Globalization;
using Frusta.Server.Configuration;

namespace Frusta.Server.Doors;

/// <summary>
/// How many connections the doors take at a time. Each is an open file of this process, and a process that may open no more files can neither start a
/// sandbox nor write a segment. Without this bound clients could take all of them, with connections that send nothing and need no key.
/// </summary>
/// <param name="Api">Bound of the API's door.</param>
/// <param name="Sandboxes">Bound of the door for functions.</param>
/// <param name="Report">A line for the start screen when the bound on open files leaves less room than the options ask for; else empty.</param>
internal sealed record ConnectionBound(int Api, int Sandboxes, IReadOnlyList<string> Report)
{
    private const int LeastOpenFiles = 512;

    // The program's libraries, journal and stores and the stem cells of an idle server were measured to take 265.
    private const int OwnFiles = 320;

    // The most of the remaining files that are kept for sandboxes; one sandbox takes some seven.
    private const int LargestReserve = 8192;

    private const string Remedy = "raise it with `ulimit -n` before the start, or with LimitNOFILE= in a systemd unit";

    /// <summary>The bounds under this process' bound on open files, which .NET has raised to the hard bound by now.</summary>
    /// <exception cref="StartRefusedException">The bound is too low to work with.</exception>
    public static ConnectionBound Of(int maxConnections) => Of(maxConnections, OpenFiles());

    /// <summary>The bounds under the given bound on open files.</summary>
    /// <exception cref="StartRefusedException">The bound is too low to work with.</exception>
    public static ConnectionBound Of(int maxConnections, int openFiles)
    {
        if (openFiles < LeastOpenFiles)
        {
            throw new StartRefusedException($"This process may have {openFiles} open files, but the server needs at least {LeastOpenFiles}: {Remedy}.");
        }

        var rest = openFiles - OwnFiles;
        var room = rest - Math.Min(rest / 2, LargestReserve);
        var api = Math.Min(maxConnections, room - (room / 4));
        var report = api == maxConnections
            ? []
            : new[] { $"at most {api} connections at a time instead of {maxConnections}, because this process may have {openFiles} open files: {Remedy}" };
        return new ConnectionBound(api, Math.Min(maxConnections, room / 4), report);
    }

    private static int OpenFiles()
    {
        const string label = "Max open files";
        var soft = File.ReadLines("/proc/self/limits").First(line => line.StartsWith(label, StringComparison.Ordinal))[label.Length..]
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
        return int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var bound) ? bound : int.MaxValue;
    }
}
