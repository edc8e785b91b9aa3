namespace Frusta.Sandboxes.Layout;

/// <summary>The kinds of things that a line of an instance's notes may name.</summary>
internal static class NoteKind
{
    /// <summary>A cgroup folder with one folder a sandbox.</summary>
    internal const string Cgroup = "cgroup";

    /// <summary>An nft table of the family <c>inet</c>.</summary>
    internal const string Table = "table";

    /// <summary>A network link; its peers and addresses go with it.</summary>
    internal const string Link = "link";

    /// <summary>The first user of the range whose users run sandboxes.</summary>
    internal const string Users = "users";

    /// <summary>The network of the block from which sandboxes have their addresses.</summary>
    internal const string Subnet = "subnet";
}
