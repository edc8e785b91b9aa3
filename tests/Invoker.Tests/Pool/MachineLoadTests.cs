using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Tests.Pool;

public sealed class MachineLoadTests
{
    /// <summary>An action that thrashes at its own limit stands still too, and raises the machine's figure.</summary>
    [Theory]
    [InlineData("some avg10=41.50 avg60=9.00 avg300=2.00 total=1", "MemAvailable:     900000 kB", 41.5)]
    [InlineData("some avg10=41.50 avg60=9.00 avg300=2.00 total=1", "MemAvailable:    1100000 kB", 0)]
    [InlineData("some avg10=0.00 avg60=9.00 avg300=2.00 total=1", "MemAvailable:     900000 kB", 0)]
    [InlineData("some avg10=41.50 avg60=9.00 avg300=2.00 total=1", "Buffers:          900000 kB", 0)]
    [InlineData("", "MemAvailable:     900000 kB", 0)]
    public void Memory_is_under_pressure_when_something_stands_still_and_little_is_available(string pressure, string available, double percent)
    {
        var kernel = Directory.CreateTempSubdirectory("frusta-machine-");
        try
        {
            kernel.CreateSubdirectory("pressure");
            File.WriteAllText(Path.Combine(kernel.FullName, "pressure", "memory"), pressure + "\nfull avg10=9.00 avg60=9.00 avg300=2.00 total=1\n");
            File.WriteAllText(Path.Combine(kernel.FullName, "meminfo"), $"MemTotal:       10000000 kB\nMemFree:          100000 kB\n{available}\nCached:          5000 kB\n");

            Assert.Equal(percent, new MachineLoad(TimeProvider.System, kernel.FullName).MemoryPressurePercent());
        }
        finally
        {
            kernel.Delete(recursive: true);
        }
    }
}
