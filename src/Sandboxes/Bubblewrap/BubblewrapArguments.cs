using System.Globalization;
using System.Text;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>The arguments of bubblewrap, which it reads from a descriptor: it waits for them while the server sets its limits and cgroup.</summary>
internal sealed class BubblewrapArguments
{
    private const string DevicesSize = "65536";

    private static readonly string[] Devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

    private static readonly (string Path, string Target)[] DeviceLinks =
        [("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"), ("/dev/stderr", "/proc/self/fd/2")];

    private readonly string[] _before;
    private readonly string[] _after;

    /// <param name="options">Sizes of the writable folders.</param>
    /// <param name="settings">Folder of the /etc that is seen inside.</param>
    /// <param name="seccompDescriptor">Number of the descriptor with the filter, or null.</param>
    internal BubblewrapArguments(SandboxesOptions options, string settings, int? seccompDescriptor)
    {
        var user = SystemFiles.InsideUser.ToString(CultureInfo.InvariantCulture);
        _before =
        [
            "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup", "--disable-userns",
            "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--uid", user, "--gid", user, "--hostname", SystemFiles.HostName,
            .. SystemFiles.Arguments(settings),
            "--proc", "/proc",

            // Not bubblewrap's own /dev: it has terminals, and one sandbox could take all those of the host.
            "--size", DevicesSize, "--tmpfs", "/dev",
            .. Devices.SelectMany(static device => (string[])["--dev-bind", device, device]),
            .. DeviceLinks.SelectMany(static link => (string[])["--symlink", link.Target, link.Path]),
            "--size", Bytes(options.SharedMemoryMb), "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
            "--size", Bytes(options.TmpMb), "--perms", "1777", "--tmpfs", "/tmp",
        ];
        _after =
        [
            // Node walks the whole zone folder at its first date when it does not know its zone: 18 to 20 ms.
            "--setenv", "TZ", "UTC", "--chdir", "/tmp",

            // Last: nothing can be mounted on a read-only root. bubblewrap's root is a tmpfs without a bound.
            "--remount-ro", "/",
            .. seccompDescriptor is { } descriptor ? (string[])["--seccomp", descriptor.ToString(CultureInfo.InvariantCulture)] : [],
        ];
    }

    /// <summary>The arguments of one sandbox, each ended by a zero byte.</summary>
    /// <param name="spec">The sandbox to be started.</param>
    /// <param name="sources">Finds the host's paths of its mounts.</param>
    /// <param name="ownNetwork">True for an empty network namespace; false where bubblewrap was started in a prepared one.</param>
    internal byte[] Write(SandboxSpec spec, MountSources sources, bool ownNetwork)
    {
        var text = new StringBuilder(4096);
        Append(_before);
        if (ownNetwork)
        {
            Append("--unshare-net");
        }

        foreach (var mount in spec.Mounts)
        {
            Append("--ro-bind", sources.Find(mount.HostPath), mount.InsidePath);
        }

        Append(_after);
        foreach (var (name, value) in spec.Environment)
        {
            Append("--setenv", name, value);
        }

        return Encoding.UTF8.GetBytes(text.ToString());

        void Append(params ReadOnlySpan<string> words)
        {
            foreach (var word in words)
            {
                text.Append(word).Append('\0');
            }
        }
    }

    private static string Bytes(int megabytes) => ((long)megabytes << 20).ToString(CultureInfo.InvariantCulture);
}
