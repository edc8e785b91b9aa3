using Frusta.Sandboxes.Processes;
using Frusta.Sandboxes.Tests.Bubblewrap;

namespace Frusta.Sandboxes.Tests.Processes;

public sealed class KernelFiguresTests
{
    [Fact]
    public void What_the_kernel_says_now_is_read_each_time_without_garbage()
    {
        using var figures = new KernelFigures();
        var (objects, inSockets) = figures.Read();
        Assert.InRange(objects >> 20, 1, 2 * HostMemory.Megabytes());
        Assert.InRange(inSockets >> 20, 0, 2 * HostMemory.Megabytes());
        var before = GC.GetAllocatedBytesForCurrentThread();
        _ = figures.Read();
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
