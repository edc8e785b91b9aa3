using System.Diagnostics;
using System.Globalization;
using Frusta.Sandboxes.Plain;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Sandboxes.Tests.Bubblewrap;

/// <summary>What isolation costs, against the same program as a plain process, taken in turns. The figures are in the test's output.</summary>
[Collection(nameof(Alone))]
public sealed class SpeedTests(IsolatedHost host) : IClassFixture<IsolatedHost>
{
    private const int Rounds = 9;

    // The design's budget is 1.6, measured on a quiet machine. Here other work may run beside it, so only a cliff fails.
    private const double Cliff = 3;
    private const double MillisecondsForIsolation = 20;

    [Fact]
    public async Task An_isolated_node_starts_in_less_than_three_times_the_time_of_a_plain_one()
    {
        host.RequireMaker();
        Assert.SkipUnless(File.Exists("/usr/bin/node"), "Node is not installed.");
        var node = Workload.Run("/usr/bin/node", "-e", "require('fs').writeSync(4, '?')") with { AddressSpaceMayBeLimited = false, MemoryMb = 256 };
        var (isolated, plain) = await CompareAsync(node);
        Print("node to its hello", isolated, plain);
        Assert.InRange(isolated[Rounds / 2] / plain[Rounds / 2], 0, Cliff);
    }

    [Fact]
    public async Task An_isolated_python_starts_in_less_than_three_times_the_time_of_a_plain_one_and_some_milliseconds()
    {
        var (isolated, plain) = await CompareAsync(Workload.Python());
        Print("python to its hello", isolated, plain);
        Assert.InRange((isolated[Rounds / 2] - MillisecondsForIsolation) / plain[Rounds / 2], double.MinValue, Cliff);
    }

    private async Task<(List<double> Isolated, List<double> Plain)> CompareAsync(SandboxSpec spec)
    {
        host.RequireMaker();
        using var folder = new RunFolder();
        await using var plainMaker = new ProcessSandboxMaker(folder.Options, TimeProvider.System, NullLogger<ProcessSandboxMaker>.Instance);
        var plain = new List<double>();
        var isolated = new List<double>();
        var environment = new Dictionary<string, string>(spec.Environment, StringComparer.Ordinal) { ["TZ"] = "UTC" };
        for (var round = 0; round < Rounds; round++)
        {
            plain.Add(await TimeAsync(plainMaker, spec with { Environment = environment }));
            isolated.Add(await TimeAsync(host.Maker, spec));
        }

        return (isolated, plain);
    }

    private static async Task<double> TimeAsync(ISandboxMaker maker, SandboxSpec spec)
    {
        var began = Stopwatch.GetTimestamp();
        var sandbox = await maker.StartAsync(spec, TestContext.Current.CancellationToken);
        var elapsed = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        await sandbox.StopAsync();
        return elapsed;
    }

    private static void Print(string what, List<double> isolated, List<double> plain)
    {
        isolated.Sort();
        plain.Sort();
        var text = string.Create(
            CultureInfo.InvariantCulture,
            $"{what}: isolated {isolated[Rounds / 2]:F1} ms (best {isolated[0]:F1}), plain {plain[Rounds / 2]:F1} ms (best {plain[0]:F1}), ratio {isolated[Rounds / 2] / plain[Rounds / 2]:F2} (best {isolated[0] / plain[0]:F2})");
        TestContext.Current.SendDiagnosticMessage(text);
        TestContext.Current.TestOutputHelper?.WriteLine(text);
    }
}

/// <summary>What measures runs while nothing else of ours does.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
