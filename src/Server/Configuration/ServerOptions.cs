using System.Net;

namespace Frusta.Server.Configuration;

/// <summary>Where the server listens and keeps its data (section <c>Server</c>).</summary>
public sealed class ServerOptions
{
    public const string Section = "Server";

    /// <summary>IP address to listen on. On any but a loopback address the stock keys are refused, unless <see cref="AllowStockKeys"/> is set.</summary>
    public string Host { get; set; } = "127.0.0.1";

    /// <summary>TCP port of the API; 0 takes a free one. 0 to 65535.</summary>
    public int Port { get; set; } = 3233;

    /// <summary>Folder of everything that survives a restart.</summary>
    public string DataDir { get; set; } = "./.frusta";

    /// <summary>True accepts the well-known stock keys also on an address that other hosts can reach and, where there are further subjects, from sandboxes.</summary>
    public bool AllowStockKeys { get; set; }

    /// <summary>Milliseconds that running activations get to end at SIGTERM. 0 to 600000.</summary>
    public int DrainMs { get; set; } = 30_000;

    /// <summary>
    /// Open connections at a time; further ones are closed at once. Where the bound on open files (`ulimit -n`) leaves less room, fewer are taken, and the
    /// start screen says so. 1 to 1000000.
    /// </summary>
    public int MaxConnections { get; set; } = 10_000;

    /// <summary>Milliseconds that a client gets to send its request headers. 100 to 600000.</summary>
    public int HeadersTimeoutMs { get; set; } = 30_000;

    /// <summary>Bytes a second at which a request body must arrive after its first five seconds; 0 is no bound. 0 to 1048576.</summary>
    public int MinBodyRate { get; set; } = 240;

    /// <summary>Least level that is logged: Trace, Debug, Information, Warning, Error, Critical or None.</summary>
    public string LogLevel { get; set; } = "Information";

    /// <summary>
    /// True logs a line for each request: method, path, status, milliseconds, and the code that the client was shown. The line is written whatever
    /// <see cref="LogLevel"/> says.
    /// </summary>
    public bool LogRequests { get; set; }

    /// <summary>Address and port under which programs on this host reach the server; written out, an IPv6 address is in brackets as in a URL.</summary>
    internal IPEndPoint Reached(int port)
    {
        var address = IPAddress.Parse(Host);
        return new IPEndPoint(address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) ? IPAddress.Loopback : address, port);
    }

    /// <summary>A sentence on the first rule that is broken, with key, rule and value; null when all rules hold.</summary>
    public string? Validate()
    {
        if (!IPAddress.TryParse(Host, out _))
        {
            return $"{Section}:Host must be an IP address, but it is '{Host}'.";
        }

        if (DataDir.Length == 0)
        {
            return $"{Section}:DataDir must name a folder, but it is empty.";
        }

        if (!Enum.GetNames<LogLevel>().Contains(LogLevel, StringComparer.OrdinalIgnoreCase))
        {
            return $"{Section}:LogLevel must be Trace, Debug, Information, Warning, Error, Critical or None, but it is '{LogLevel}'.";
        }

        (string Key, int Value, int Least, int Greatest)[] rules =
        [
            (nameof(Port), Port, 0, 65_535),
            (nameof(DrainMs), DrainMs, 0, 600_000),
            (nameof(MaxConnections), MaxConnections, 1, 1_000_000),
            (nameof(HeadersTimeoutMs), HeadersTimeoutMs, 100, 600_000),
            (nameof(MinBodyRate), MinBodyRate, 0, 1_048_576),
        ];
        foreach (var (key, value, least, greatest) in rules)
        {
            if (value < least || value > greatest)
            {
                return $"{Section}:{key} must be from {least} to {greatest}, but it is {value}.";
            }
        }

        return null;
    }
}
