using System.Globalization;

namespace Frusta.Sandboxes.Network;

/// <summary>The nft table of one instance: rules for packets from or to sandboxes, and one against forwarding other packets on a host that did not route.</summary>
internal static class FirewallRules
{
    /// <summary>First letters of the names of every instance's links.</summary>
    internal const string AnyLink = "fv";

    // "This network", loopback, link-local with the cloud's metadata, multicast, and reserved addresses.
    private static readonly string[] AlwaysDenied = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"];

    /// <param name="table">Name of the table.</param>
    /// <param name="links">First letters of the names of this instance's links.</param>
    /// <param name="block">Addresses of this instance.</param>
    /// <param name="options">Port of the API, networks that are denied, and the bound on connections.</param>
    /// <param name="closeForwarding">True where this host did not forward packets before us: then packets of others are not forwarded now either.</param>
    /// <param name="countConnections">
    /// True bounds the connections of each sandbox, because the host has one table for all connections on it. Not every kernel can.
    /// </param>
    internal static string Write(string table, string links, AddressBlock block, SandboxNetworkOptions options, bool closeForwarding, bool countConnections)
    {
        string[] denied = [.. AlwaysDenied, .. options.Deny.Where(static entry => !entry.Contains(':', StringComparison.Ordinal)), block.Network];
        var refuse = "reject with icmpx type admin-prohibited";
        var (connections, tooMany) = countConnections ? (Connections(links, block), TooMany(options, refuse)) : ("", "");
        return string.Create(
            CultureInfo.InvariantCulture,
            $$"""
            table inet {{table}} {
              set denied { type ipv4_addr; flags interval; auto-merge; elements = { {{string.Join(", ", denied)}} } }
              {{connections}}
              chain input {
                type filter hook input priority -10; policy accept;
                iifname "{{links}}*" jump to_host
              }
              chain to_host {
                {{tooMany}}
                ip daddr {{block.Gateway}} ip saddr {{block.Network}} tcp dport { 53, {{options.ApiPort}} } accept
                ip daddr {{block.Gateway}} ip saddr {{block.Network}} udp dport 53 accept
                {{refuse}}
              }
              chain forward {
                type filter hook forward priority -10; policy accept;
                iifname "{{links}}*" jump from_sandbox
                oifname "{{links}}*" ct state established,related accept
                oifname "{{links}}*" drop
                {{(closeForwarding ? $"iifname != \"{AnyLink}*\" oifname != \"{AnyLink}*\" drop" : "")}}
              }
              chain from_sandbox {
                ip saddr != {{block.Network}} drop
                meta nfproto ipv6 {{refuse}}
                ip daddr @denied {{refuse}}
                oifname "{{links}}*" {{refuse}}
                {{tooMany}}
                accept
              }
              chain leave {
                type nat hook postrouting priority 100; policy accept;
                ip saddr {{block.Network}} oifname != "{{links}}*" masquerade
              }
            }

            """);
    }

    /// <summary>
    /// The set that counts connections, and the rules that keep name look-ups out of it: Node asks for a name anew with each request, and the kernel
    /// remembers each question for half a minute.
    /// </summary>
    private static string Connections(string links, AddressBlock block) =>
        $$"""
        set connections { type ipv4_addr; size 1024; flags dynamic; }
        chain untracked_questions {
          type filter hook prerouting priority raw; policy accept;
          iifname "{{links}}*" ip daddr {{block.Gateway}} udp dport 53 notrack
        }
        chain untracked_answers {
          type filter hook output priority raw; policy accept;
          oifname "{{links}}*" ip saddr {{block.Gateway}} udp sport 53 notrack
        }
        """;

    private static string TooMany(SandboxNetworkOptions options, string refuse) =>
        string.Create(CultureInfo.InvariantCulture, $"ct state new add @connections {{ ip saddr ct count over {options.Connections} }} {refuse}");
}
