using Frusta.Sandboxes.Processes;

namespace Frusta.Sandboxes.Tests.Processes;

public sealed class FileLocksTests
{
    [Fact]
    public void Locks_are_counted_for_the_process_that_has_them()
    {
        var path = Path.GetTempFileName();
        using (var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
        {
            for (var i = 0; i < 50; i++)
            {
#pragma warning disable CA1416 // Sandboxes are made on Linux alone.
                file.Lock(2 * i, 1);
#pragma warning restore CA1416
            }

            Assert.InRange(FileLocks.Read(1_000_000)[Environment.ProcessId], 50, int.MaxValue);
        }

        File.Delete(path);
    }
}
