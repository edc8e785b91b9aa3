using System.Net;

namespace Frusta.Sandboxes;

/// <summary>The network of isolated sandboxes (section <c>Sandboxes:Network</c>).</summary>
public sealed class SandboxNetworkOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Sandboxes:Network";

    /// <summary>Other hosts by NAT wherever this host allows it, else none.</summary>
    public const string Auto = "auto";

    /// <summary>Other hosts by NAT; the server does not start where that is impossible.</summary>
    public const string Egress = "egress";

    /// <summary>No network at all.</summary>
    public const string None = "none";

    /// <summary>The network that sandboxes get: <c>auto</c> (other hosts where this host allows it), <c>egress</c> (other hosts, or the server does not start) or <c>none</c>.</summary>
    public string Mode { get; set; } = Auto;

    /// <summary>IPv4 network, with a prefix from 8 to 22, out of which each server on this host takes a /22 (1020 sandboxes) that no route of the host overlaps.</summary>
    public string Subnet { get; set; } = "10.88.0.0/16";

    /// <summary>Networks kept ready ahead of sandboxes; each takes a veth pair and about 100 kB of kernel memory. 1 to 256.</summary>
    public int Ready { get; set; } = 8;

    /// <summary>Port, on the gateway's address, of the API that functions may call. 1 to 65535.</summary>
    public int ApiPort { get; set; } = 3234;

    /// <summary>IPv4 addresses and networks (CIDR) that sandboxes must not reach, besides this host, each other, and link-local and multicast addresses.</summary>
    public IList<string> Deny { get; set; } = [];

    /// <summary>Connections of one sandbox at a time, each pair of UDP ports for half a minute among them; more are refused. Name look-ups are not counted. 16 to 65536.</summary>
    public int Connections { get; set; } = 4096;

    /// <summary>TCP connections that one sandbox may open to itself in a second, and as many more at once; further ones are delayed by a second. 16 to 1000000.</summary>
    public int LoopbackConnectionsPerSecond { get; set; } = 1000;

    /// <summary>Name look-ups of sandboxes in flight at a time, 16 of them of one sandbox; more are dropped, and the client asks again. 1 to 65536.</summary>
    public int NameLookups { get; set; } = 256;

    /// <summary>Milliseconds. Longest wait for a name server of the host. 100 to 60000.</summary>
    public int NameLookupTimeoutMs { get; set; } = 5_000;

    /// <summary>The first rule that is broken, naming key, rule and value; null when all hold.</summary>
    public string? Validate()
    {
        if (Mode is not (Auto or Egress or None))
        {
            return $"{Section}:{nameof(Mode)} must be {Auto}, {Egress} or {None}, but it is {Mode}.";
        }

        if (!IPNetwork.TryParse(Subnet, out var subnet) || subnet.BaseAddress.AddressFamily != System.Net.Sockets.AddressFamily.InterNetwork || subnet.PrefixLength is < 8 or > 22)
        {
            return $"{Section}:{nameof(Subnet)} must be an IPv4 network with a prefix from 8 to 22, but it is {Subnet}.";
        }

        foreach (var denied in Deny)
        {
            if (!IPNetwork.TryParse(denied, out _) && !IPAddress.TryParse(denied, out _))
            {
                return $"{Section}:{nameof(Deny)} must hold addresses or networks, but one is {denied}.";
            }
        }

        (string Key, int Value, int Least, int Greatest)[] rules =
        [
            (nameof(Ready), Ready, 1, 256),
            (nameof(ApiPort), ApiPort, 1, 65_535),
            (nameof(Connections), Connections, 16, 65_536),
            (nameof(LoopbackConnectionsPerSecond), LoopbackConnectionsPerSecond, 16, 1_000_000),
            (nameof(NameLookups), NameLookups, 1, 65_536),
            (nameof(NameLookupTimeoutMs), NameLookupTimeoutMs, 100, 60_000),
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
