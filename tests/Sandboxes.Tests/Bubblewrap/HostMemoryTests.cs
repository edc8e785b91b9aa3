using System.Globalization;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>What a sandbox has the kernel hold for it is bounded, also where no cgroup counts it (docs/reference/security-model.md).</summary>
[Collection(nameof(Alone))]
public sealed class HostMemoryTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    private const int MemoryMb = 128;
    private const int MarginMb = 64;

    // Others use this host too. What a sandbox can take it takes each time; what they take they hardly take three times.
    private const int Tries = 3;

    public static TheoryData<string> Attacks => [.. Attack.Names];

    [Theory]
    [MemberData(nameof(Attacks))]
    public async Task The_host_loses_no_more_than_the_limit_and_a_little_by(string attack)
    {
        var taken = long.MaxValue;
        for (var i = 0; i < Tries && taken > MemoryMb + MarginMb; i++)
        {
            await using var sandbox = await host.StartAsync(Workload.Python(MemoryMb));
            (taken, var answer) = await MeasureAsync(Attack.PlayAsync(sandbox, attack));
            TestContext.Current.TestOutputHelper!.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{attack}: {taken} MB; it says {answer}"));
            Assert.Null(Attack.WhyInVain(attack, answer, await WasEndedForMemoryAsync(sandbox, answer)));
        }

        Assert.InRange(taken, long.MinValue, MemoryMb + MarginMb);
    }

    [Fact]
    public async Task A_neighbour_answers_while_all_are_played_together()
    {
        Assert.SkipUnless(TestRun.LongTestsToo, "A long test: ./test --all.");
        await using var neighbour = await host.StartAsync();
        List<ISandbox> sandboxes = [];
        foreach (var _ in Attack.Names)
        {
            sandboxes.Add(await host.StartAsync(Workload.Python(MemoryMb)));
        }

        var playing = Task.WhenAll(Attack.Names.Zip(sandboxes, static (attack, sandbox) => Attack.PlayAsync(sandbox, attack)));
        var measuring = MeasureAsync(playing);
        while (!playing.IsCompleted)
        {
            Assert.Equal("2", await neighbour.AskAsync("1 + 1"));
        }

        var (taken, answers) = await measuring;
        TestContext.Current.TestOutputHelper!.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sandboxes.Count} attacks together: {taken} MB"));
        foreach (var (attack, sandbox, answer) in Attack.Names.Zip(sandboxes, answers))
        {
            // They had to share the cores.
            Assert.Null(Attack.WhyInVain(attack, answer, await WasEndedForMemoryAsync(sandbox, answer), share: 0.01));
            await sandbox.StopAsync();
        }

        Assert.InRange(taken, long.MinValue, (MemoryMb + MarginMb) * sandboxes.Count);
    }

    /// <summary>Else the tests above would pass with a program that has a syntax error, or is refused by mistake.</summary>
    [Theory]
    [MemberData(nameof(Attacks))]
    public void An_attack_that_does_nothing_is_found_out(string attack)
    {
        foreach (var answer in (string[])["", "None", "0 0 0 0 0 0 0 0 0 0 0 0", "SyntaxError('invalid syntax')", "PermissionError(1, 'Operation not permitted')", "NameError(\"name 'libc' is not defined\")"])
        {
            Assert.NotNull(Attack.WhyInVain(attack, answer, endedForMemory: false));
        }

        Assert.NotNull(Attack.WhyInVain(attack, "CLOSED", endedForMemory: false));
    }

    private static async Task<bool> WasEndedForMemoryAsync(ISandbox sandbox, string answer)
    {
        if (answer is not "CLOSED")
        {
            return false;
        }

        await sandbox.Exited;
        return sandbox.MemoryExhausted;
    }

    /// <summary>The most by which the host's figure was above what it is now until the attack has ended: what took too much is ended and has given it back by then.</summary>
    internal static async Task<(long Megabytes, T Answer)> MeasureAsync<T>(Task<T> playing)
    {
        var before = HostMemory.Megabytes();
        var most = before;
        while (!playing.IsCompleted)
        {
            most = Math.Max(most, HostMemory.Megabytes());
            await Task.WhenAny(playing, Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System));
        }

        return (Math.Max(most, HostMemory.Megabytes()) - before, await playing);
    }
}
