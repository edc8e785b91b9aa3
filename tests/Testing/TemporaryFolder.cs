namespace Frusta.Testing;

/// <summary>A folder of one test, gone after it.</summary>
public sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("frusta-test-").FullName;

    /// <summary>The path of something in it.</summary>
    public string Sub(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>A copy of the files that a process would leave behind if it were killed now.</summary>
    public TemporaryFolder CopyAsIfKilled()
    {
        var copy = new TemporaryFolder();
        foreach (var file in Directory.EnumerateFiles(Path, "*", SearchOption.AllDirectories))
        {
            var target = copy.Sub(System.IO.Path.GetRelativePath(Path, file));
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
            if (!string.Equals(System.IO.Path.GetFileName(file), "lock", StringComparison.Ordinal))
            {
                using var source = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                using var destination = File.Create(target);
                source.CopyTo(destination);
            }
        }

        return copy;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
