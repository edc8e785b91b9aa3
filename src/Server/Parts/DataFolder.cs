using System.Globalization;
using Frusta.Server.Configuration;

namespace Frusta.Server.Parts;

/// <summary>The folder of everything that survives a restart. One server locks it, and a file in it has the version of its layout.</summary>
public sealed class DataFolder : IDisposable
{
    /// <summary>Version of the layout that this program reads and writes.</summary>
    public const int LayoutVersion = 1;

    private const long LeastFreeBytes = 64L * 1024 * 1024;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private const string LockFile = "lock";
    private const string VersionFile = "VERSION";
    private const string NewVersionFile = VersionFile + ".new";

    private readonly FileStream _lock;

    private DataFolder(string path, FileStream fileLock)
    {
        Path = path;
        _lock = fileLock;
    }

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    public string Journal => Sub("journal");

    public string Activations => Sub("activations");

    public string Entities => Sub("entities");

    public string Run => Sub("run");

    /// <summary>Opens and locks the folder, making it when it is missing.</summary>
    /// <exception cref="StartRefusedException">The folder is in use, holds files of another program, has another version, is full, or cannot be written.</exception>
    public static DataFolder Open(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        try
        {
            RefuseOthers(full);
            Directory.CreateDirectory(full, OwnerOnly); // an existing folder keeps its mode: all secrets in it are in folders below that this server makes
            var fileLock = Lock(full);
            CheckVersion(full, fileLock);
            CheckSpace(full, fileLock);
            return new DataFolder(full, fileLock);
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            throw new StartRefusedException($"The data folder '{full}' cannot be used: {exception.Message} Name another one with --data-dir.");
        }
    }

    public void Dispose() => _lock.Dispose();

    /// <summary>
    /// Refuses a folder with files of another program. A first start that was killed may have left the files that it makes before the version, so these are
    /// let pass.
    /// </summary>
    private static void RefuseOthers(string folder)
    {
        if (File.Exists(folder))
        {
            throw new StartRefusedException($"The data folder '{folder}' is a file. Name a folder with --data-dir; it is made when it is missing.");
        }

        var others = Directory.Exists(folder)
            ? Directory.EnumerateFileSystemEntries(folder).Select(System.IO.Path.GetFileName)
                .FirstOrDefault(static name => name is not (LockFile or VersionFile or NewVersionFile or "lost+found")) // the last is in every new file system
            : null;
        if (others is not null && !File.Exists(System.IO.Path.Combine(folder, VersionFile)))
        {
            throw new StartRefusedException(
                $"The folder '{folder}' is not empty, and no data folder of Frusta: it holds '{others}' and has no file {VersionFile}. Name an empty or a new folder with --data-dir.");
        }
    }

    private static FileStream Lock(string folder)
    {
        var file = System.IO.Path.Combine(folder, LockFile);
        FileStream stream;
        try
        {
            stream = new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            throw new StartRefusedException(
                $"The data folder '{folder}' is in use by another server. Stop that one, or name another folder with --data-dir.");
        }

        stream.SetLength(0);
        stream.Write(System.Text.Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)));
        stream.Flush();
        return stream;
    }

    private static void CheckVersion(string folder, FileStream fileLock)
    {
        var file = System.IO.Path.Combine(folder, VersionFile);
        if (!File.Exists(file))
        {
            WriteVersion(folder);
            return;
        }

        var text = File.ReadAllText(file).Trim();
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var version) || version != LayoutVersion)
        {
            fileLock.Dispose();
            throw new StartRefusedException(
                $"The data folder '{folder}' has layout version '{text}', but this program reads version {LayoutVersion}. "
                + "Use the program that wrote it, or name another folder with --data-dir.");
        }
    }

    /// <summary>Writes the version whole or not at all: a server that is killed here, or a host that loses power, must not leave a file without a version.</summary>
    private static void WriteVersion(string folder)
    {
        var written = System.IO.Path.Combine(folder, NewVersionFile);
        using (var stream = new FileStream(written, FileMode.Create))
        {
            stream.Write(System.Text.Encoding.ASCII.GetBytes(LayoutVersion.ToString(CultureInfo.InvariantCulture) + "\n"));
            stream.Flush(flushToDisk: true);
        }

        File.Move(written, System.IO.Path.Combine(folder, VersionFile));
    }

    private static void CheckSpace(string folder, FileStream fileLock)
    {
        var free = new DriveInfo(folder).AvailableFreeSpace;
        if (free < LeastFreeBytes)
        {
            fileLock.Dispose();
            throw new StartRefusedException(
                $"The disk of the data folder '{folder}' is full: {free / 1024 / 1024} MB are free and {LeastFreeBytes / 1024 / 1024} MB are needed. "
                + "Free some space, or name a folder on another disk with --data-dir.");
        }
    }

    private string Sub(string name)
    {
        var folder = System.IO.Path.Combine(Path, name);
        Directory.CreateDirectory(folder, OwnerOnly);
        return folder;
    }
}
