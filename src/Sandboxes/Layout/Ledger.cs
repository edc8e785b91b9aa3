namespace Frusta.Sandboxes.Layout;

/// <summary>What a line of an instance's ledger may name.</summary>
internal static class Ledger
{
    /// <summary>A cgroup folder with one folder a sandbox.</summary>
    internal const string Cgroup = "cgroup";

    /// <summary>An nft table of the family <c>inet</c>.</summary>
    internal const string Table = "table";

    /// <summary>A network link; its peers and addresses go with it.</summary>
    internal const string Link = "link";
}
