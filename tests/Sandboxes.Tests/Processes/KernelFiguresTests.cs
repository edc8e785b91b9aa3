using Frusta.Sandboxes.Processes;
using Frusta.Sandboxes.Tests.Bubblewrap;

namespace Frusta.Sandboxes.Tests.Processes;

public sealed class KernelFiguresTests
{
    [Fact]
    public void What_the_kernel_says_now_is_read_each_time_without_garbage()
    {
        using var figures = new KernelFigures();
        var (objects, inSockets, uncharged, anonymous) = figures.Read();
        Assert.InRange(objects >> 20, 1, 2 * HostMemory.Megabytes());
        Assert.InRange(inSockets >> 20, 0, 2 * HostMemory.Megabytes());
        Assert.InRange(uncharged >> 20, 1, long.MaxValue);
        Assert.InRange(anonymous >> 20, 1, long.MaxValue);
        var before = GC.GetAllocatedBytesForCurrentThread();
        _ = figures.Read();
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Pages_that_each_core_keeps_at_hand_are_free()
    {
        var zones = """
            Node 0, zone      DMA
              pages free     3840
              pagesets
                cpu: 0
                          count:    7
                          high:     0
            Node 0, zone   Normal
              pagesets
                cpu: 0
                          count:    134907
                          high:     135835
                cpu: 1
                          count:    86
              vm stats threshold: 36

            """u8;
        Assert.Equal(135_000L * Environment.SystemPageSize, KernelFigures.AtHand(zones));
    }

    [Fact]
    public void Pages_without_a_name_are_what_is_left_of_all_memory()
    {
        var memory = """
            MemTotal:       10000 kB
            MemFree:         1000 kB
            MemAvailable:    5000 kB
            Buffers:          100 kB
            Cached:          2000 kB
            SwapCached:        30 kB
            AnonPages:        700 kB
            Slab:             500 kB
            SUnreclaim:       400 kB
            KernelStack:       40 kB
            PageTables:        50 kB
            SecPageTables:      6 kB
            Percpu:             4 kB
            Hugetlb:         2048 kB

            """u8;
        Assert.Equal(10_000 - 1000 - 100 - 2000 - 30 - 700 - 500 - 40 - 50 - 6 - 4 - 2048, KernelFigures.Unnamed(memory));
    }
}
