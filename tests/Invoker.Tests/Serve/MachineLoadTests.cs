using Frusta.Invoker.Serve;

namespace Frusta.Invoker.Tests.Serve;

public sealed class MachineLoadTests : IDisposable
{
    private const long Gigabyte = 1L << 30;
    private readonly TemporaryFolder _host = new();

    public void Dispose() => _host.Dispose();

    /// <summary>An action that thrashes at its own limit stands still too, and raises the machine's figure.</summary>
    [Theory]
    [InlineData("some avg10=41.50 avg60=9.00 avg300=2.00 total=1", "MemAvailable:     900000 kB", 1)]
    [InlineData("some avg10=41.50 avg60=9.00 avg300=2.00 total=1", "MemAvailable:    1100000 kB", 0)]
    [InlineData("some avg10=0.00 avg60=9.00 avg300=2.00 total=1", "MemAvailable:     900000 kB", 0)]
    [InlineData("some avg10=41.50 avg60=9.00 avg300=2.00 total=1", "Buffers:          100000 kB", 0)]
    [InlineData("", "MemAvailable:     900000 kB", 0)]
    public void Memory_is_missing_when_something_stands_still_and_little_is_available(string pressure, string available, long missing)
    {
        WriteMachine(available, pressure);

        Assert.Equal(missing, Missing());
    }

    [Fact]
    public void What_is_below_the_share_that_must_be_available_is_missing_whatever_stands_still()
    {
        WriteMachine("MemAvailable:     400000 kB", "some avg10=0.00 avg60=9.00 avg300=2.00 total=1");

        Assert.InRange(Missing(), 99_000L << 10, 100_000L << 10);
        Assert.Equal(0, Missing(availablePercent: 0));
    }

    [Theory]
    [InlineData("0::/box/inner\n", "box/inner", "memory.max", "memory.current", "inactive_file")]
    [InlineData("0::/box/inner\n", "box", "memory.max", "memory.current", "inactive_file")]
    [InlineData("4:pids:/\n9:memory:/box\n0::/\n", "memory/box", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")]
    [InlineData("9:memory:/of/the/host\n", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")]
    public void The_cgroup_that_has_less_left_than_the_machine_decides(string groups, string folder, string limit, string usage, string cache)
    {
        WriteMachine("MemAvailable:    9000000 kB", "");
        Write("proc/self/cgroup", groups);
        Write($"cgroup/{folder}/{limit}", $"{2 * Gigabyte}\n");
        Write($"cgroup/{folder}/{usage}", $"{2 * Gigabyte}\n");
        Write($"cgroup/{folder}/memory.stat", $"cache 1\n{cache} {Gigabyte / 64}\n");

        Assert.InRange(Missing(), 80L << 20, 90L << 20); // a twentieth of 2 GB, less the 16 MB of cache

        Write($"cgroup/{folder}/memory.stat", $"cache 1\n{cache} {Gigabyte / 8}\n");
        Assert.Equal(0, Missing());
    }

    private void WriteMachine(string available, string pressure)
    {
        Write("proc/pressure/memory", pressure + "\nfull avg10=9.00 avg60=9.00 avg300=2.00 total=1\n");
        Write("proc/meminfo", $"MemTotal:       10000000 kB\nMemFree:          100000 kB\n{available}\nCached:          5000 kB\n");
    }

    private void Write(string file, string text)
    {
        var path = Path.Combine(_host.Path, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    private long Missing(int availablePercent = 5) =>
        new MachineLoad(TimeProvider.System, Path.Combine(_host.Path, "proc"), Path.Combine(_host.Path, "cgroup")).MissingBytes(availablePercent, pressurePercent: 20);
}
