using Frusta.Sandboxes.Layout;

namespace Frusta.Sandboxes.Bubblewrap;

/// <summary>The system's files that a sandbox sees: the host's programs and certificates, and a small /etc of ours.</summary>
internal static class SystemFiles
{
    internal const int InsideUser = 1000;

    /// <summary>The host name inside every sandbox.</summary>
    internal const string HostName = "sandbox";

    // Folders of the host that are seen as they are. A link stays a link: on most systems /lib is a link into /usr.
    private static readonly string[] ProgramFolders = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32"];

    // Files of /etc that programs need and that hold nothing private: certificates, paths of libraries, default versions, the numbers of services.
    private static readonly string[] HostSettings = ["ssl", "pki", "ca-certificates", "ld.so.cache", "alternatives", "services", "protocols"];

    /// <summary>Writes the /etc that all sandboxes of an instance share.</summary>
    /// <returns>Its folder on the host.</returns>
    internal static string WriteSettings(InstanceFolder instance, string? nameServer)
    {
        var folder = Path.Combine(instance.Path, "etc");
        Directory.CreateDirectory(folder);
        Write("passwd", $"root:x:0:0:root:/:/bin/false\naction:x:{InsideUser}:{InsideUser}:action:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n");
        Write("group", $"root:x:0:\naction:x:{InsideUser}:\nnogroup:x:65534:\n");
        Write("hosts", $"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {HostName}\n");
        Write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n");
        Write("resolv.conf", nameServer is null ? "" : $"nameserver {nameServer}\noptions timeout:2 attempts:2\n");
        foreach (var name in HostSettings)
        {
            // Empty folders and files to mount on.
            if (Directory.Exists(Path.Combine("/etc", name)))
            {
                Directory.CreateDirectory(Path.Combine(folder, name));
            }
            else if (File.Exists(Path.Combine("/etc", name)))
            {
                Write(name, "");
            }
        }

        return folder;

        void Write(string name, string text)
        {
            var path = Path.Combine(folder, name);
            File.WriteAllText(path, text);
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        }
    }

    /// <summary>bubblewrap's arguments that mount these files and the folder with the settings.</summary>
    internal static IEnumerable<string> Arguments(string settings)
    {
        foreach (var folder in ProgramFolders)
        {
            if (new DirectoryInfo(folder).LinkTarget is { } target)
            {
                foreach (var word in (string[])["--symlink", target, folder])
                {
                    yield return word;
                }
            }
            else if (Directory.Exists(folder))
            {
                foreach (var word in (string[])["--ro-bind", folder, folder])
                {
                    yield return word;
                }
            }
        }

        foreach (var word in (string[])["--ro-bind", settings, "/etc"])
        {
            yield return word;
        }

        foreach (var name in HostSettings)
        {
            if (Path.Exists(Path.Combine("/etc", name)))
            {
                foreach (var word in (string[])["--ro-bind", Path.Combine("/etc", name), Path.Combine("/etc", name)])
                {
                    yield return word;
                }
            }
        }
    }
}
